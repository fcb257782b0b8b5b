"""pending units by the date assessed, and trees by type, in the aggregates."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Forward only: an older program is met by a backup, not by a downgrade."""
    for name in ("trees_by_type", "pending_by_date"):
        op.add_column(
            "circuit_aggregates", sa.Column(name, JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False)
        )
