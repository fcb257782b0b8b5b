"""history without foreign keys: its one writer copies from circuits, and a check row by row was a tenth of a sync."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Forward only: an older program is met by a backup, not by a downgrade."""
    for column in ("circuit_id", "region_id"):
        op.drop_constraint(f"fk_circuit_history_{column}", "circuit_history", type_="foreignkey")
