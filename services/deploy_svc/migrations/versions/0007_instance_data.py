"""What a stateful instance keeps on its node."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    # Without a default: no row is written.
    op.execute("alter table deploy.instances add column data_volumes jsonb")
