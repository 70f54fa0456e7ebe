"""Which versions of services are current, with the counts of their instances: all that a read asks each time."""

from collections.abc import Collection
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_view import InstanceCounts
from services.deploy_svc.store.services import EXISTING, row_to_service
from services.deploy_svc.store.tables import instances, services
from services.kernel.db import Database, Tx
from services.kernel.kept import Version, version_columns
from services.kernel.pages import WHOLE, Listing, Page, PreparedPages
from services.kernel.statements import Row, Statement

_t, _i = services, instances.c
_VERSION = version_columns(_t)
_COUNTS = (
    sa.func.count(_i.container_id).label("total"),
    sa.func.count(_i.id).filter(_i.state == "running").label("running"),
    sa.func.count(_i.id).filter(_i.health == "healthy").label("healthy"),
    sa.func.count(_i.id).filter(_i.health == "unhealthy").label("unhealthy"),
)


class CurrentService(NamedTuple):
    """The version of a service that counts now, and its instances: a row as it comes. Equal ones look the same."""

    id: str
    xmin: int
    ctid: tuple[int, int]
    total: int
    running: int
    healthy: int
    unhealthy: int

    @property
    def version(self) -> Version:
        """What the service is kept with."""
        return self.xmin, self.ctid

    @property
    def counts(self) -> InstanceCounts:
        """How many instances it has."""
        return InstanceCounts(*self[3:])


_of_one = sa.select(*_COUNTS).where(_i.service_id == _t.c.id).lateral("counts")


def in_stack(grid_id: sa.ColumnElement[str], stack: sa.ColumnElement[str]) -> sa.Select[Any]:
    """The services of a stack: the columns of CurrentService."""
    return (
        sa.select(_t.c.id, *_VERSION, *_of_one.c)
        .select_from(_t.join(_of_one, sa.true()))
        .where(_t.c.grid_id == grid_id, _t.c.stack == stack)
    )


_in_stack = in_stack(sa.bindparam("grid_id"), sa.bindparam("stack"))
_ONE = Statement(_in_stack.where(_t.c.name == sa.bindparam("name")))
_OF_STACK = Statement(_in_stack.order_by(_t.c.created_at, _t.c.id))
_TEXTS = ARRAY(sa.Text)
# Counted once for the whole grid: a subquery per service would be a look at the index for each.
_in_grid = (
    sa.select(_i.service_id, *_COUNTS)
    .where(_i.grid_id == sa.bindparam("grid_id"))
    .group_by(_i.service_id)
    .subquery("counts")
)
_of_grid = (
    sa.select(
        _t.c.id,
        *_VERSION,
        *(sa.func.coalesce(column, 0) for column in _in_grid.c if column.name != "service_id"),
        _t.c.created_at,
    )
    .select_from(_t.outerjoin(_in_grid, _in_grid.c.service_id == _t.c.id))
    .where(_t.c.grid_id == sa.bindparam("grid_id"))
)
_BY_AGE = {"created_at": _t.c.created_at, "id": _t.c.id}
_OF_GRID = PreparedPages(_of_grid, _BY_AGE, newest_first=True)
_OF_STACKS = PreparedPages(
    _of_grid.where(_t.c.stack == sa.func.any(sa.bindparam("stacks", type_=_TEXTS))), _BY_AGE, newest_first=True
)


async def one(db: Database, grid_id: str, stack: str, name: str) -> CurrentService | None:
    """The service at a path."""
    rows = await db.fetch(_ONE, grid_id=grid_id, stack=stack, name=name)
    return CurrentService._make(rows[0]) if rows else None


async def of_stack(db: Database, grid_id: str, stack: str) -> list[CurrentService]:
    """The services of a stack in the order of creation."""
    return list(map(CurrentService._make, await db.fetch(_OF_STACK, grid_id=grid_id, stack=stack)))


async def existing(db: Database, grid_id: str, keys: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of the (stack, name) pairs that exist."""
    stacks, names = [stack for stack, _ in keys], [name for _, name in keys]
    return {(row.stack, row.name) for row in await db.fetch(EXISTING, grid_id=grid_id, stacks=stacks, names=names)}


async def of_grid(
    db: Database, grid_id: str, stacks: Collection[str] | None = None, page: Page = WHOLE
) -> Listing[CurrentService]:
    """The services of a grid, newest first; only those of some stacks when they are given."""
    if stacks is None:
        return await _OF_GRID.read(db, page, _counted, grid_id=grid_id)
    return await _OF_STACKS.read(db, page, _counted, grid_id=grid_id, stacks=sorted(stacks))


def _counted(row: Row) -> CurrentService:
    return CurrentService._make(row[:-1])


async def load(tx: Tx, ids: Collection[str]) -> list[tuple[str, Version, Service]]:
    """Services by id with the versions that they have now."""
    query = sa.select(_t, *_VERSION).where(_t.c.id.in_(ids))
    return [(row.id, (row.xmin, row.ctid), row_to_service(row)) for row in await tx.execute(query)]
