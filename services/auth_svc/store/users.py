"""Users and the roles they hold."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert

from services.auth_svc.domain.access_token import Owner
from services.auth_svc.domain.user import Role, User
from services.auth_svc.store.tables import grid_members, roles, user_roles, users
from services.kernel import pages
from services.kernel.db import AnyTx, Tx, run, unless_taken
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.statements import Statement

_UNIQUE_EXTERNAL_ID = "uq_users_external_id"
_OWNER = Statement(sa.select(users.c.id, users.c.email, users.c.name).where(users.c.email == sa.bindparam("email")))
_NO_INVITATION: dict[str, Any] = {"invite_digest": None, "invite_expires_at": None, "invited_by": None}


async def add(tx: Tx, user: User) -> bool:
    """Store a user without roles; False when the e-mail is taken."""
    values = {"id": user.id, "email": user.email, "name": user.name}
    statement = insert(users).values(values).on_conflict_do_nothing(index_elements=["email"])
    return (await tx.execute(statement.returning(users.c.id))).first() is not None


async def find(tx: Tx, user_id: str) -> User | None:
    """The user with this id."""
    return next(iter(await _load(tx, users.c.id == user_id)), None)


async def find_by_email(tx: Tx, email: str) -> User | None:
    """The user with exactly this e-mail."""
    return next(iter(await _load(tx, users.c.email == email)), None)


async def find_owner(tx: AnyTx, email: str) -> Owner | None:
    """The same user as tokens know one, without roles."""
    rows = await run(tx, _OWNER, email=email)
    return Owner(rows[0].id, rows[0].email, rows[0].name) if rows else None


async def find_by_external_id(tx: Tx, external_id: str) -> User | None:
    """The user with this id at the authentication provider."""
    return next(iter(await _load(tx, users.c.external_id == external_id)), None)


async def find_by_invite(tx: Tx, digest: bytes) -> User | None:
    """The user whose invitation has a code with this digest, and is not over."""
    return next(iter(await _load(tx, _invited(digest))), None)


async def of_grid(tx: Tx, grid_id: str, page: Page = WHOLE) -> Listing[User]:
    """The members of a grid, by e-mail."""
    members = sa.select(grid_members.c.user_id).where(grid_members.c.grid_id == grid_id)
    return await _load(tx, users.c.id.in_(members), page)


async def find_all(tx: Tx, page: Page = WHOLE) -> Listing[User]:
    """All users, by e-mail."""
    return await _load(tx, sa.true(), page)


async def ensure_roles(tx: Tx, known: Sequence[Role]) -> None:
    """Make sure that these roles exist; an existing description is left alone."""
    values = [{"name": role.name, "description": role.description} for role in known]
    await tx.execute(insert(roles).values(values).on_conflict_do_nothing())


async def grant(tx: Tx, user_id: str, role_names: Iterable[str], *, by: str = "") -> bool:
    """Give a user roles that exist; one already held stays. Returns whether anything changed. An invitation is void
    then, unless it is that of the user `by` who gives the roles."""
    values = [{"user_id": user_id, "role_name": name} for name in sorted(set(role_names))]
    if not values:
        return False
    statement = insert(user_roles).values(values).on_conflict_do_nothing().returning(user_roles.c.role_name)
    if (await tx.execute(statement)).first() is None:
        return False
    await void_invitation(tx, user_id, by=by)
    return True


async def remove(tx: Tx, user_id: str) -> bool:
    """Remove a user with tokens, roles and memberships; False when there is none."""
    return bool((await tx.execute(users.delete().where(users.c.id == user_id))).rowcount)


async def revoke(tx: Tx, user_id: str, role_name: str) -> bool:
    """Take a role from a user. Returns whether it was held."""
    held = sa.and_(user_roles.c.user_id == user_id, user_roles.c.role_name == role_name)
    return bool((await tx.execute(user_roles.delete().where(held))).rowcount)


async def lock_holders(tx: Tx, role_name: str) -> list[str]:
    """Ids of the users that hold a role. Nobody else can lock them until the transaction ends."""
    await tx.execute(sa.select(roles.c.name).where(roles.c.name == role_name).with_for_update(key_share=True))
    return list(
        (await tx.execute(sa.select(user_roles.c.user_id).where(user_roles.c.role_name == role_name))).scalars()
    )


async def invite(tx: Tx, user_id: str, digest: bytes, *, by: str, lasts: timedelta) -> None:
    """Give a user an invitation; an older one is void."""
    values = {"invite_digest": digest, "invite_expires_at": sa.func.now() + lasts, "invited_by": by}
    await tx.execute(users.update().where(users.c.id == user_id).values(values))


async def accept_invitation(tx: Tx, user_id: str, digest: bytes) -> bool:
    """Use an invitation up; of any number of callers one succeeds. False when it is void or over."""
    statement = users.update().where(users.c.id == user_id, _invited(digest)).values(_NO_INVITATION)
    return bool((await tx.execute(statement)).rowcount)


async def void_invitation(tx: Tx, user_id: str, *, by: str = "") -> None:
    """End the invitation of a user, unless it is that of the user `by`: whoever gives a right to whom they invited
    themselves knows where the code went."""
    others = users.c.invited_by.is_distinct_from(by) if by else sa.true()
    invited = users.c.invite_digest.is_not(None)
    await tx.execute(users.update().where(users.c.id == user_id, invited, others).values(_NO_INVITATION))


async def has_login(tx: Tx, user_id: str) -> bool:
    """Whether the user is known at the authentication provider."""
    query = sa.select(users.c.id).where(users.c.id == user_id, users.c.external_id.is_not(None))
    return (await tx.execute(query)).first() is not None


async def set_external_id(tx: Tx, user_id: str, external_id: str) -> bool:
    """Give a new user the id at the authentication provider. False when it is taken."""
    statement = users.update().where(users.c.id == user_id).values(external_id=external_id)
    return await unless_taken(tx, statement, _UNIQUE_EXTERNAL_ID) is not None


async def lock(tx: Tx, user_id: str) -> bool:
    """Keep a user from being removed until the transaction ends. False when there is none."""
    query = sa.select(users.c.id).where(users.c.id == user_id).with_for_update(read=True, key_share=True)
    return (await tx.execute(query)).first() is not None


async def link(tx: Tx, user_id: str, external_id: str, name: str | None, *, replace: bool) -> bool | None:
    """Remember who a user is at the provider; an invitation is over then, and a name is filled in where there is none.
    False, and nothing changed, when the user is somebody else there, unless that is to be replaced; None when another
    user has this id."""
    values = {**_NO_INVITATION, "external_id": external_id, "name": sa.func.coalesce(users.c.name, name)}
    free = sa.or_(users.c.external_id.is_(None), users.c.external_id == external_id)
    statement = users.update().where(users.c.id == user_id, sa.true() if replace else free).values(values)
    linked = await unless_taken(tx, statement, _UNIQUE_EXTERNAL_ID)
    return None if linked is None else bool(linked.rowcount)


async def clear_external_ids(tx: Tx) -> None:
    """Forget who everybody is at the provider."""
    await tx.execute(users.update().where(users.c.external_id.is_not(None)).values(external_id=None))


def _invited(digest: bytes) -> sa.ColumnElement[bool]:
    return sa.and_(users.c.invite_digest == digest, users.c.invite_expires_at > sa.func.now())


async def _load(tx: Tx, condition: sa.ColumnElement[bool], page: Page = WHOLE) -> Listing[User]:
    role = aggregate_order_by(sa.func.jsonb_build_array(roles.c.name, roles.c.description), roles.c.name)
    held = (
        sa.select(sa.func.jsonb_agg(role))
        .select_from(user_roles.join(roles))
        .where(user_roles.c.user_id == users.c.id)
        .scalar_subquery()
        .label("roles")
    )
    query = sa.select(users.c.id, users.c.email, users.c.name, held).where(condition)
    return await pages.read(tx, query, {"email": users.c.email}, page, _user)


def _user(row: Any) -> User:
    return User(row.id, row.email, row.name, tuple(Role(*role) for role in row.roles or ()))
