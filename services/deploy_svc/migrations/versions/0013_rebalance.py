"""Which instances a deploy moves, and where to; absent for deploys of the whole service."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("service_deploys", sa.Column("moves", JSONB), schema="deploy")
