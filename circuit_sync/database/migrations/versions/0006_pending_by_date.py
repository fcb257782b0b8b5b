"""pending units by the date assessed and trees by unit type, beside the other breakdowns of an aggregate.

Rows from before have neither: empty objects. The next sync of their circuit writes them whole.
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Forward only: an older program is met by a backup, not by a downgrade."""
    op.execute("""
        ALTER TABLE circuit_aggregates
            ADD COLUMN trees_by_type jsonb NOT NULL DEFAULT '{}', ADD COLUMN pending_by_date jsonb NOT NULL DEFAULT '{}'
    """)
