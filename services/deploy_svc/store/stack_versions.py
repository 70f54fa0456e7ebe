"""Which versions of stacks are current, with what other stacks make of them, and their services."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.deploy_svc.domain.stack import Kin, Stack
from services.deploy_svc.store import service_versions, tables
from services.deploy_svc.store import stacks as store
from services.deploy_svc.store.service_versions import CurrentService
from services.deploy_svc.store.stack_tables import stacks
from services.kernel.db import Database, Tx
from services.kernel.kept import Version, version_columns
from services.kernel.pages import Listing, Page, PreparedPages
from services.kernel.statements import Row, Statement

_VERSION = version_columns(stacks)
_GRID: sa.BindParameter[str] = sa.bindparam("grid_id")
_NAME: sa.BindParameter[str] = sa.bindparam("name")
_other, _services, _deploys = stacks.alias("other"), tables.services.c, tables.service_deploys.c


@dataclass(frozen=True, slots=True)
class CurrentStack:
    """The version of a stack that counts now."""

    id: str
    version: Version
    name: str


@dataclass(frozen=True, slots=True)
class WholeStack:
    """The same with all that an answer shows of it. `services` are in the order of creation, `deploying` the ids of
    those with an unfinished deploy."""

    current: CurrentStack
    kin: Kin
    services: Sequence[CurrentService]
    deploying: Collection[str]


_unfinished = sa.and_(
    _deploys.finished_at.is_(None),
    sa.func.coalesce(_deploys.started_at, sa.func.now()) > sa.func.now() - sa.text("interval '30 minutes'"),
)
_DEPLOYING = Statement(
    sa.select(_deploys.service_id)
    .where(_deploys.service_id == sa.func.any(sa.bindparam("ids", type_=ARRAY(sa.Text))), _unfinished)
    .distinct()
)
_stack = (
    sa.select(
        stacks.c.id,
        *(column.label(f"stack_{column.name}") for column in _VERSION),
        stacks.c.name,
        sa.exists().where(_other.c.grid_id == stacks.c.grid_id, _other.c.name == stacks.c.parent_name).label("parent"),
        sa.func.array(
            sa.select(_other.c.name)
            .where(_other.c.grid_id == stacks.c.grid_id, _other.c.parent_name == stacks.c.name)
            .order_by(_other.c.seq)
            .scalar_subquery()
        ).label("children"),
    )
    .where(stacks.c.grid_id == _GRID, stacks.c.name == _NAME)
    .cte("stack")
    # Materialized: its relatives are looked up once, and not for each of its services.
    .prefix_with("materialized", dialect="postgresql")
)
_in_stack = (
    service_versions.in_stack(_GRID, _NAME)
    .add_columns(
        sa.exists().where(_deploys.service_id == _services.id, _unfinished).label("deploying"), _services.created_at
    )
    .subquery("services")
)
_ONE = Statement(
    sa.select(_stack, _in_stack)
    .select_from(_stack.outerjoin(_in_stack, sa.true()))
    .order_by(_in_stack.c.created_at, _in_stack.c.id)
)
_OF_GRID = PreparedPages(
    sa.select(stacks.c.id, *_VERSION, stacks.c.name, stacks.c.seq).where(stacks.c.grid_id == _GRID),
    {"seq": stacks.c.seq},
)
_PARENTS = Statement(
    sa.select(stacks.c.name, stacks.c.parent_name).where(stacks.c.grid_id == _GRID).order_by(stacks.c.seq)
)


async def one(db: Database, grid_id: str, name: str) -> WholeStack | None:
    """The stack with a name, and what it consists of, in one statement."""
    rows = await db.fetch(_ONE, grid_id=grid_id, name=name)
    if not rows:
        return None
    stack_id, xmin, ctid, _, parent, children, *_ = rows[0]
    services, deploying = [], set()
    for _, _, _, _, _, _, *service, deploys, _ in rows:
        # A stack may have none.
        if service[0] is not None:
            services.append(CurrentService._make(service))
            if deploys:
                deploying.add(services[-1].id)
    current = CurrentStack(stack_id, (xmin, ctid), name)
    return WholeStack(current, Kin(parent, tuple(children)), services, deploying)


async def of_grid(db: Database, grid_id: str, page: Page) -> Listing[CurrentStack]:
    """The stacks of a grid in the order of creation."""
    return await _OF_GRID.read(db, page, _current, grid_id=grid_id)


async def parents(db: Database, grid_id: str) -> dict[str, str | None]:
    """What each stack of a grid calls its parent, by name, in the order of creation."""
    return {row.name: row.parent_name for row in await db.fetch(_PARENTS, grid_id=grid_id)}


async def deploying(db: Database, service_ids: Collection[str]) -> set[str]:
    """Those of the services with an unfinished deploy that did not start, or not more than 30 minutes ago."""
    return {row.service_id for row in await db.fetch(_DEPLOYING, ids=list(service_ids))} if service_ids else set()


async def load(tx: Tx, ids: Collection[str]) -> list[tuple[str, Version, Stack]]:
    """Stacks by id with the versions that they have now, their documents without services."""
    found = await tx.execute(store.without_services.add_columns(*_VERSION).where(stacks.c.id.in_(ids)))
    return [(row.id, (row.xmin, row.ctid), store.row_to_stack(row)) for row in found]


def _current(row: Row) -> CurrentStack:
    return CurrentStack(row.id, (row.xmin, row.ctid), row.name)
