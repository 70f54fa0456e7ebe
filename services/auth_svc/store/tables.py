"""Tables of the schema `auth`."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.kernel import db
from services.kernel.outbox import Outbox, outbox_table

metadata = db.metadata("auth")


def _created_at() -> sa.Column[datetime]:
    return sa.Column("created_at", db.timestamp(), nullable=False, server_default=sa.func.now())


def _user_id(*, primary_key: bool = False) -> sa.Column[str]:
    owner = sa.ForeignKey("auth.users.id", ondelete="CASCADE")
    return sa.Column("user_id", sa.String(24), owner, primary_key=primary_key, nullable=False)


users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("email", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text),
    _created_at(),
    # Who the user is at the authentication provider; empty until the first login there.
    sa.Column("external_id", sa.Text, unique=True),
    # Digest of the code of an invitation that was not accepted yet.
    sa.Column("invite_digest", sa.LargeBinary, unique=True),
    # How long it can be accepted: null, from the release before, counts as over. And whose word it is.
    sa.Column("invite_expires_at", db.timestamp()),
    sa.Column("invited_by", sa.String(24)),
)

roles = sa.Table(
    "roles",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("description", sa.Text, nullable=False),
)

user_roles = sa.Table(
    "user_roles",
    metadata,
    _user_id(primary_key=True),
    sa.Column("role_name", sa.String(64), sa.ForeignKey("auth.roles.name"), primary_key=True),
)

grid_members = sa.Table(
    "grid_members",
    metadata,
    # Grids live in grid_svc, so there is nothing here to refer to.
    sa.Column("grid_id", sa.String(24), primary_key=True),
    _user_id(primary_key=True),
    _created_at(),
    sa.Index("ix_grid_members_user_id", "user_id"),
)

access_tokens = sa.Table(
    "access_tokens",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    _user_id(),
    # Shared by a code, its token and that token's successors: a refresh token used twice ends them all.
    sa.Column("family_id", sa.String(24), nullable=False),
    # The family of the token that this one was minted with: it ends with that.
    sa.Column("parent_family_id", sa.String(24)),
    # The only grid that it is good for; null means all of its owner.
    sa.Column("grid_id", sa.String(24)),
    sa.Column("token_type", sa.String(32), nullable=False),
    sa.Column("token_digest", sa.LargeBinary, unique=True),
    sa.Column("refresh_digest", sa.LargeBinary, unique=True),
    sa.Column("code_digest", sa.LargeBinary, unique=True),
    sa.Column("access_last_four", sa.String(4)),
    sa.Column("refresh_last_four", sa.String(4)),
    sa.Column("scopes", ARRAY(sa.Text), nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("expires_at", db.timestamp()),
    # When a code ends, if that is before the token it would become.
    sa.Column("code_expires_at", db.timestamp()),
    _created_at(),
    # A row counts as long as both are null. It is kept for a while, so that a second use is noticed.
    sa.Column("consumed_at", db.timestamp()),
    sa.Column("revoked_at", db.timestamp()),
    sa.CheckConstraint(
        "(token_type = 'bearer' and token_digest is not null and code_digest is null) or "
        "(token_type = 'authorization_code' and code_digest is not null and token_digest is null)",
        name="values_of_type",
    ),
    sa.Index("ix_access_tokens_user_id", "user_id"),
    sa.Index("ix_access_tokens_family_id", "family_id"),
    sa.Index(
        "ix_access_tokens_parent_family_id",
        "parent_family_id",
        postgresql_where=sa.text("parent_family_id is not null"),
    ),
)

audit_logs = sa.Table(
    "audit_logs",
    metadata,
    sa.Column("event_id", sa.Text, primary_key=True),
    # Order of arrival; ties in time are common, because one transaction may write several entries.
    sa.Column("seq", sa.BigInteger, sa.Identity(), nullable=False, unique=True),
    sa.Column("time", db.timestamp(), nullable=False),
    sa.Column("event_name", sa.Text, nullable=False),
    sa.Column("resource_type", sa.Text, nullable=False),
    sa.Column("resource_id", sa.Text, nullable=False),
    sa.Column("resource_name", sa.Text, nullable=False),
    sa.Column("grid_id", sa.Text, nullable=False),
    sa.Column("grid", sa.Text, nullable=False),
    sa.Column("service_id", sa.Text, nullable=False),
    # A snapshot, not a reference: entries outlive the user.
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("user_email", sa.Text, nullable=False),
    sa.Column("source_ip", sa.Text, nullable=False),
    sa.Column("user_agent", sa.Text, nullable=False),
    sa.Index("ix_audit_logs_time", "time"),
    sa.Index("ix_audit_logs_grid_id_seq", "grid_id", "seq"),
)

authorization_requests = sa.Table(
    "authorization_requests",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("state_digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("redirect_uri", sa.Text, nullable=False),
    # How long the token of the login will last, in seconds; null means for ever.
    sa.Column("expires_in", sa.Integer),
    # Who has to log in; null when anybody with an account may.
    sa.Column("user_id", sa.String(24), sa.ForeignKey("auth.users.id", ondelete="CASCADE")),
    # Digest of the code of the invitation that it accepts.
    sa.Column("invite_digest", sa.LargeBinary),
    # Digest of what the browser that began it keeps; null from the release before.
    sa.Column("browser_digest", sa.LargeBinary),
    _created_at(),
    sa.Index("ix_authorization_requests_user_id", "user_id"),
    sa.Index("ix_authorization_requests_created_at", "created_at"),
)

config = sa.Table(
    "config",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", JSONB),
    # Instead of the value, for keys that hold secrets.
    sa.Column("sealed", sa.LargeBinary),
    sa.CheckConstraint("(value is null) <> (sealed is null)", name="one_value"),
)

bootstrap_steps = sa.Table(
    "bootstrap_steps",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("done_at", db.timestamp(), nullable=False, server_default=sa.func.now()),
)

outbox = Outbox(outbox_table(metadata))
