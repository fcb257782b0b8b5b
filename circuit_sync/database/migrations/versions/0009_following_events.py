"""an identity by which a sensor knows a database again, and an index for the events of syncs, which sensors follow."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """The identity is new at the first upgrade; ``sync.log.due`` gives another to a database that was restored."""
    op.execute("""
        INSERT INTO database_settings (name, value) VALUES ('identity', left(gen_random_uuid()::text, 8))
        ON CONFLICT DO NOTHING
    """)
    op.execute("CREATE INDEX ix_sync_events_of_syncs ON sync_events (id) WHERE circuit_id IS NULL")
