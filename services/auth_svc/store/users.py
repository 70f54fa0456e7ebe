"""Users and the roles they hold."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.auth_svc.domain.user import Role, User
from services.auth_svc.store.tables import roles, user_roles, users
from services.kernel.db import Tx


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


async def find_all(tx: Tx) -> list[User]:
    """All users, by e-mail."""
    return await _load(tx, sa.true())


async def ensure_roles(tx: Tx, known: Sequence[Role]) -> None:
    """Make sure that these roles exist; an existing description is left alone."""
    values = [{"name": role.name, "description": role.description} for role in known]
    await tx.execute(insert(roles).values(values).on_conflict_do_nothing())


async def grant(tx: Tx, user_id: str, role_names: Iterable[str]) -> bool:
    """Give a user roles that exist; one already held stays. Returns whether anything changed."""
    values = [{"user_id": user_id, "role_name": name} for name in sorted(set(role_names))]
    if not values:
        return False
    statement = insert(user_roles).values(values).on_conflict_do_nothing().returning(user_roles.c.role_name)
    return (await tx.execute(statement)).first() is not None


async def _load(tx: Tx, condition: sa.ColumnElement[bool]) -> list[User]:
    statement = (
        sa.select(users.c.id, users.c.email, users.c.name, roles.c.name.label("role"), roles.c.description)
        .select_from(users.outerjoin(user_roles).outerjoin(roles))
        .where(condition)
        .order_by(users.c.email, roles.c.name)
    )
    held: dict[str, list[Role]] = defaultdict(list)
    found: dict[str, User] = {}
    for row in (await tx.execute(statement)).all():
        if row.role is not None:
            held[row.id].append(Role(row.role, row.description))
        found[row.id] = User(row.id, row.email, row.name, tuple(held[row.id]))
    return list(found.values())
