"""how far each webhook got, and chains of retries."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Forward only: an older program is met by a backup, not by a downgrade."""
    op.execute("""
        CREATE TABLE webhooks (
            url_hash text CONSTRAINT pk_webhooks PRIMARY KEY, position bigint NOT NULL,
            attempts integer NOT NULL DEFAULT '0', next_attempt_at timestamptz, delivered_at timestamptz,
            last_error text);
        CREATE INDEX ix_sync_logs_retry_of ON sync_logs (retry_of);
    """)
