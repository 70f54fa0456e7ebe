"""Who a token stands for, in one query: this runs for every request of every user."""

from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.auth_svc.store.tables import access_tokens, grid_members, user_roles, users
from services.kernel.db import Database
from services.kernel.principal import Principal
from services.kernel.statements import Statement

_ROLES = sa.select(user_roles.c.role_name).where(user_roles.c.user_id == users.c.id).scalar_subquery()
_GRIDS = sa.select(grid_members.c.grid_id).where(grid_members.c.user_id == users.c.id).scalar_subquery()
_FIND = Statement(
    sa.select(
        access_tokens.c.id.label("token_id"),
        access_tokens.c.scopes,
        access_tokens.c.expires_at,
        access_tokens.c.grid_id,
        sa.func.coalesce(access_tokens.c.expires_at <= sa.func.now(), sa.false()).label("expired"),
        users.c.id.label("user_id"),
        users.c.email,
        sa.func.array(_ROLES, type_=ARRAY(sa.Text)).label("roles"),
        sa.func.array(_GRIDS, type_=ARRAY(sa.Text)).label("grid_ids"),
    )
    .select_from(access_tokens.join(users))
    .where(
        access_tokens.c.token_digest == sa.bindparam("digest"),
        access_tokens.c.consumed_at.is_(None),
        access_tokens.c.revoked_at.is_(None),
    )
)


@dataclass(frozen=True, slots=True)
class Identity:
    """The principal of a token that exists; `expired` says that its time is over."""

    principal: Principal
    expires_at: datetime | None
    expired: bool


async def find(db: Database, digest: bytes) -> Identity | None:
    """The identity behind an access value, expired or not; None when the token does not exist or was ended."""
    row = next(iter(await db.fetch(_FIND, digest=digest)), None)
    if row is None:
        return None
    owner = Principal(
        kind="user",
        user_id=row.user_id,
        email=row.email,
        roles=frozenset(row.roles),
        grid_ids=frozenset(row.grid_ids),
        token_id=row.token_id,
        expires_at=row.expires_at,
    )
    principal = owner if row.grid_id is None else _within(owner, row.grid_id)
    return Identity(replace(principal, scopes=frozenset(row.scopes)), row.expires_at, row.expired)


def _within(owner: Principal, grid_id: str) -> Principal:
    """What is left of an owner for a token of one grid: no role gives rights with it, but `viewer` takes them."""
    roles = frozenset[str]() if owner.is_master_admin else owner.roles & {"viewer"}
    return replace(owner, roles=roles, grid_ids=frozenset({grid_id} if owner.has_access(grid_id) else ()))
