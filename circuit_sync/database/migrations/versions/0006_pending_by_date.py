"""pending units by the date assessed and trees by unit type, beside the other breakdowns of an aggregate.

Rows from before have neither: empty objects. The next sync of their circuit writes them whole.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Forward only: an older program is met by a backup, not by a downgrade."""
    for name in ("trees_by_type", "pending_by_date"):
        column = sa.Column(name, JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False)
        op.add_column("circuit_aggregates", column)
