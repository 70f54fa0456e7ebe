"""Which starts of an agent had a node's session, and that two of them want it at once."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for column in (
        sa.Column("agent_starts", ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("conflict_at", TIMESTAMP(timezone=True)),
        sa.Column("conflict_reason", sa.Text),
    ):
        op.add_column("nodes", column, schema="grid")
