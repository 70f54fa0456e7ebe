"""Which hook wrote a log line."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    # Without a default: no row is written.
    op.execute("alter table deploy.container_logs add column hook text")
