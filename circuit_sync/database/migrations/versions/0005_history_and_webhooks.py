"""history without foreign keys, and how often a webhook refused an event.

History's one writer copies from circuits: to check each of its rows again was a tenth of a whole sync.
"""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Forward only: an older program is met by a backup, not by a downgrade."""
    op.execute("""
        ALTER TABLE circuit_history
            DROP CONSTRAINT fk_circuit_history_circuit_id, DROP CONSTRAINT fk_circuit_history_region_id;
        ALTER TABLE webhooks ADD COLUMN refusals integer NOT NULL DEFAULT '0';
    """)
