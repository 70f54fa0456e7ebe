"""Logins at an external provider, invitations, server configuration; the audit log of a grid is read by arrival."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("users", sa.Column("external_id", sa.Text), schema="auth")
    op.add_column("users", sa.Column("invite_digest", sa.LargeBinary), schema="auth")
    op.create_unique_constraint("uq_users_external_id", "users", ["external_id"], schema="auth")
    op.create_unique_constraint("uq_users_invite_digest", "users", ["invite_digest"], schema="auth")
    op.create_index("ix_audit_logs_grid_id_seq", "audit_logs", ["grid_id", "seq"], schema="auth")
    op.drop_index("ix_audit_logs_grid_id_time", "audit_logs", schema="auth")
    _authorization_requests()
    op.create_table(
        "config",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", JSONB),
        sa.Column("sealed", sa.LargeBinary),
        sa.PrimaryKeyConstraint("key", name="pk_config"),
        sa.CheckConstraint("(value is null) <> (sealed is null)", name=op.f("ck_config_one_value")),
        schema="auth",
    )


def _authorization_requests() -> None:
    table = "authorization_requests"
    op.create_table(
        table,
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("state_digest", sa.LargeBinary, nullable=False),
        sa.Column("redirect_uri", sa.Text, nullable=False),
        sa.Column("expires_in", sa.Integer),
        sa.Column("user_id", sa.String(24)),
        sa.Column("created_at", TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.UniqueConstraint("state_digest", name=f"uq_{table}_state_digest"),
        sa.ForeignKeyConstraint(["user_id"], ["auth.users.id"], name=f"fk_{table}_user_id_users", ondelete="CASCADE"),
        schema="auth",
    )
    op.create_index(f"ix_{table}_user_id", table, ["user_id"], schema="auth")
    op.create_index(f"ix_{table}_created_at", table, ["created_at"], schema="auth")
