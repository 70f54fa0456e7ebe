"""Who asked for a deploy and from where, what a deploy replaces while it is under way, and when it was canceled."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for table in ("service_deploys", "stack_deploys"):
        for name in ("asked_by", "origin", "origin_name"):
            op.add_column(table, sa.Column(name, sa.Text), schema="deploy")
        op.add_column(table, sa.Column("canceled_at", sa.TIMESTAMP(timezone=True)), schema="deploy")
    op.add_column("instance_deploys", sa.Column("former", JSONB), schema="deploy")
