"""how far each webhook got, and chains of retries."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Forward only: an older program is met by a backup, not by a downgrade."""
    op.create_table(
        "webhooks",
        sa.Column("url_hash", sa.Text(), nullable=False, comment="SHA-256 of the URL, which may hold a secret"),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="id of the last event that is done with"),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("url_hash", name=op.f("pk_webhooks")),
    )
    op.create_index("ix_sync_logs_retry_of", "sync_logs", ["retry_of"], unique=False)
