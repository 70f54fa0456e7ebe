"""Invitations end, logins belong to browsers, tokens end with those they were minted with and may be of one grid."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0004"
down_revision = "0003"

_INDEX = "ix_access_tokens_parent_family_id"


def upgrade() -> None:
    op.add_column("users", sa.Column("invite_expires_at", TIMESTAMP(timezone=True)), schema="auth")
    op.add_column("users", sa.Column("invited_by", sa.String(24)), schema="auth")
    # What was sent out goes on for as long as a new invitation would.
    op.execute("update auth.users set invite_expires_at = now() + interval '72 hours' where invite_digest is not null")
    op.add_column("access_tokens", sa.Column("parent_family_id", sa.String(24)), schema="auth")
    op.add_column("access_tokens", sa.Column("grid_id", sa.String(24)), schema="auth")
    where = sa.text("parent_family_id is not null")
    op.create_index(_INDEX, "access_tokens", ["parent_family_id"], schema="auth", postgresql_where=where)
    op.add_column("authorization_requests", sa.Column("invite_digest", sa.LargeBinary), schema="auth")
    op.add_column("authorization_requests", sa.Column("browser_digest", sa.LargeBinary), schema="auth")
