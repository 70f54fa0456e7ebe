"""Users, roles, memberships, tokens, audit log and outbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

revision = "0001"
down_revision = None

_time = TIMESTAMP(timezone=True)
_VALUES_OF_TYPE = (
    "(token_type = 'bearer' and token_digest is not null and code_digest is null) or "
    "(token_type = 'authorization_code' and code_digest is not null and token_digest is null)"
)


def upgrade() -> None:
    _accounts()
    _access_tokens()
    _audit_logs()
    _bookkeeping()


def _created_at() -> sa.Column:
    return sa.Column("created_at", _time, nullable=False, server_default=sa.func.now())


def _owner(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_user_id_users"
    return sa.ForeignKeyConstraint(["user_id"], ["auth.users.id"], name=name, ondelete="CASCADE")


def _accounts() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
        schema="auth",
    )
    op.create_table(
        "roles",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_roles"),
        schema="auth",
    )
    op.create_table(
        "user_roles",
        sa.Column("user_id", sa.String(24), nullable=False),
        sa.Column("role_name", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "role_name", name="pk_user_roles"),
        _owner("user_roles"),
        sa.ForeignKeyConstraint(["role_name"], ["auth.roles.name"], name="fk_user_roles_role_name_roles"),
        schema="auth",
    )
    op.create_table(
        "grid_members",
        sa.Column("grid_id", sa.String(24), nullable=False),
        sa.Column("user_id", sa.String(24), nullable=False),
        _created_at(),
        sa.PrimaryKeyConstraint("grid_id", "user_id", name="pk_grid_members"),
        _owner("grid_members"),
        schema="auth",
    )
    op.create_index("ix_grid_members_user_id", "grid_members", ["user_id"], schema="auth")


def _access_tokens() -> None:
    op.create_table(
        "access_tokens",
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("user_id", sa.String(24), nullable=False),
        sa.Column("family_id", sa.String(24), nullable=False),
        sa.Column("token_type", sa.String(32), nullable=False),
        sa.Column("token_digest", sa.LargeBinary),
        sa.Column("refresh_digest", sa.LargeBinary),
        sa.Column("code_digest", sa.LargeBinary),
        sa.Column("access_last_four", sa.String(4)),
        sa.Column("refresh_last_four", sa.String(4)),
        sa.Column("scopes", ARRAY(sa.Text), nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("expires_at", _time),
        _created_at(),
        sa.Column("consumed_at", _time),
        sa.Column("revoked_at", _time),
        sa.PrimaryKeyConstraint("id", name="pk_access_tokens"),
        _owner("access_tokens"),
        sa.UniqueConstraint("token_digest", name="uq_access_tokens_token_digest"),
        sa.UniqueConstraint("refresh_digest", name="uq_access_tokens_refresh_digest"),
        sa.UniqueConstraint("code_digest", name="uq_access_tokens_code_digest"),
        sa.CheckConstraint(_VALUES_OF_TYPE, name=op.f("ck_access_tokens_values_of_type")),
        schema="auth",
    )
    op.create_index("ix_access_tokens_user_id", "access_tokens", ["user_id"], schema="auth")
    op.create_index("ix_access_tokens_family_id", "access_tokens", ["family_id"], schema="auth")


def _audit_logs() -> None:
    texts = ("event_name", "resource_type", "resource_id", "resource_name", "grid_id", "grid", "service_id")
    who = ("user_id", "user_email", "source_ip", "user_agent")
    op.create_table(
        "audit_logs",
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("time", _time, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in (*texts, *who)),
        sa.PrimaryKeyConstraint("event_id", name="pk_audit_logs"),
        sa.UniqueConstraint("seq", name="uq_audit_logs_seq"),
        schema="auth",
    )
    op.create_index("ix_audit_logs_time", "audit_logs", ["time"], schema="auth")
    op.create_index("ix_audit_logs_grid_id_time", "audit_logs", ["grid_id", "time"], schema="auth")


def _bookkeeping() -> None:
    op.create_table(
        "bootstrap_steps",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("done_at", _time, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("name", name="pk_bootstrap_steps"),
        schema="auth",
    )
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("payload", JSONB, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("not_before", _time, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("seq", name="pk_outbox"),
        sa.UniqueConstraint("id", name="uq_outbox_id"),
        schema="auth",
    )
    op.create_index("ix_outbox_not_before", "outbox", ["not_before"], schema="auth")
