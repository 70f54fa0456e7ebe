"""Which versions of stacks are current, with what other stacks make of them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.deploy_svc.domain.stack import Kin, Stack
from services.deploy_svc.store import stacks as store
from services.deploy_svc.store import tables
from services.deploy_svc.store.stack_tables import stacks
from services.kernel import pages
from services.kernel.db import Database, Tx
from services.kernel.kept import Version, version_columns
from services.kernel.pages import Listing, Page
from services.kernel.statements import Statement

_VERSION = version_columns(stacks)
_other = stacks.alias("other")


@dataclass(frozen=True, slots=True)
class CurrentStack:
    """The version of a stack that counts now."""

    id: str
    version: Version
    name: str


_ONE = Statement(
    sa.select(
        stacks.c.id,
        *_VERSION,
        stacks.c.name,
        sa.exists().where(_other.c.grid_id == stacks.c.grid_id, _other.c.name == stacks.c.parent_name).label("parent"),
        sa.func.array(
            sa.select(_other.c.name)
            .where(_other.c.grid_id == stacks.c.grid_id, _other.c.parent_name == stacks.c.name)
            .order_by(_other.c.seq)
            .scalar_subquery()
        ).label("children"),
    ).where(stacks.c.grid_id == sa.bindparam("grid_id"), stacks.c.name == sa.bindparam("name"))
)
_deploys = tables.service_deploys.c
_DEPLOYING = Statement(
    sa.select(_deploys.service_id)
    .where(_deploys.service_id == sa.func.any(sa.bindparam("ids", type_=ARRAY(sa.Text))))
    .where(_deploys.finished_at.is_(None))
    .where(sa.func.coalesce(_deploys.started_at, sa.func.now()) > sa.func.now() - sa.text("interval '30 minutes'"))
    .distinct()
)


async def one(db: Database, grid_id: str, name: str) -> tuple[CurrentStack, Kin] | None:
    """The stack with a name."""
    rows = await db.fetch(_ONE, grid_id=grid_id, name=name)
    return next(((_current(row), Kin(row.parent, tuple(row.children))) for row in rows), None)


async def of_grid(tx: Tx, grid_id: str, page: Page) -> Listing[CurrentStack]:
    """The stacks of a grid in the order of creation."""
    query = sa.select(stacks.c.id, *_VERSION, stacks.c.name, stacks.c.seq).where(stacks.c.grid_id == grid_id)
    return await pages.read(tx, query, {"seq": stacks.c.seq}, page, _current)


async def deploying(db: Database, service_ids: Collection[str]) -> set[str]:
    """Those of the services with an unfinished deploy that did not start, or not more than 30 minutes ago."""
    return {row.service_id for row in await db.fetch(_DEPLOYING, ids=list(service_ids))} if service_ids else set()


async def load(tx: Tx, ids: Collection[str]) -> list[tuple[str, Version, Stack]]:
    """Stacks by id with the versions that they have now, their documents without services."""
    found = await tx.execute(store.without_services.add_columns(*_VERSION).where(stacks.c.id.in_(ids)))
    return [(row.id, (row.xmin, row.ctid), store.row_to_stack(row)) for row in found]


def _current(row: Any) -> CurrentStack:
    return CurrentStack(row.id, (row.xmin, row.ctid), row.name)
