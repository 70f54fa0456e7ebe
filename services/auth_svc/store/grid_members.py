"""Which users belong to which grids."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.auth_svc.domain.grid_members import GridMembers
from services.auth_svc.store.tables import grid_members
from services.kernel import locks
from services.kernel.db import Tx


async def add(tx: Tx, grid_id: str, user_id: str) -> bool:
    """Make a user a member. False when it is one already. Call with the user locked."""
    statement = insert(grid_members).values(grid_id=grid_id, user_id=user_id).on_conflict_do_nothing()
    return (await tx.execute(statement.returning(grid_members.c.user_id))).first() is not None


async def remove(tx: Tx, grid_id: str, user_id: str) -> None:
    """End a membership."""
    member = sa.and_(grid_members.c.grid_id == grid_id, grid_members.c.user_id == user_id)
    await tx.execute(grid_members.delete().where(member))


async def lock(tx: Tx, grid_id: str) -> list[str]:
    """Ids of the members of a grid. Nobody else can lock them until the transaction ends."""
    await locks.hold(tx, locks.GRID_MEMBERS, grid_id)
    return list(
        (await tx.execute(sa.select(grid_members.c.user_id).where(grid_members.c.grid_id == grid_id))).scalars()
    )


async def grids_of(tx: Tx, user_id: str) -> list[str]:
    """Ids of the grids of a user."""
    return list(
        (await tx.execute(sa.select(grid_members.c.grid_id).where(grid_members.c.user_id == user_id))).scalars()
    )


async def remove_grid(tx: Tx, grid_id: str) -> list[str]:
    """Remove all members of a grid. Returns their user ids."""
    statement = grid_members.delete().where(grid_members.c.grid_id == grid_id).returning(grid_members.c.user_id)
    return list((await tx.execute(statement)).scalars())


async def count(tx: Tx, grid_ids: Iterable[str] | None) -> list[GridMembers]:
    """Members of these grids, or of all; grids without members are left out."""
    statement = sa.select(grid_members.c.grid_id, sa.func.count()).group_by(grid_members.c.grid_id)
    if grid_ids is not None:
        statement = statement.where(grid_members.c.grid_id == sa.any_(sa.literal(list(grid_ids), sa.ARRAY(sa.Text))))
    return [GridMembers(*row) for row in (await tx.execute(statement)).all()]
