"""history without foreign keys, and how often a webhook refused an event.

History's one writer copies from circuits: to check each of its rows again was a tenth of a whole sync.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Forward only: an older program is met by a backup, not by a downgrade."""
    for column in ("circuit_id", "region_id"):
        op.drop_constraint(f"fk_circuit_history_{column}", "circuit_history", type_="foreignkey")
    op.add_column("webhooks", sa.Column("refusals", sa.Integer(), server_default="0", nullable=False))
