"""Codes may end before the tokens they would become."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("access_tokens", sa.Column("code_expires_at", TIMESTAMP(timezone=True)), schema="auth")
