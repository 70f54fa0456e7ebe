"""Queries and writes of the configs of grids. Lists never read the texts."""

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert

from services.deploy_svc.domain.grid_config import Config
from services.deploy_svc.store.stack_tables import grid_configs as _t
from services.kernel import pages
from services.kernel.db import Tx
from services.kernel.ids import new_id
from services.kernel.members import made_of
from services.kernel.pages import Listing, Page

_UNIQUE_NAME = "uq_grid_configs_grid_id_name"
_SHOWN = (
    *(column for column in _t.c if column.name != "content"),
    sa.func.octet_length(_t.c.content).label("size"),
)


async def insert(tx: Tx, *, grid_id: str, grid: str, name: str, content: str) -> Config | None:
    """A new config; None when the name is taken."""
    values = {"id": new_id(), "grid_id": grid_id, "grid": grid, "name": name, "content": content}
    statement = upsert(_t).values(values).on_conflict_do_nothing(constraint=_UNIQUE_NAME).returning(*_SHOWN)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else made_of(Config, row)


async def of_grid(tx: Tx, grid_id: str, page: Page) -> Listing[Config]:
    """The configs of a grid by name, upper case before lower case on every installation."""
    query = sa.select(*_SHOWN).where(_t.c.grid_id == grid_id)
    return await pages.read(tx, query, {"name": sa.collate(_t.c.name, "C")}, page, lambda row: made_of(Config, row))


async def find(tx: Tx, grid_id: str, name: str, *, lock: bool = False) -> tuple[Config, str] | None:
    """A config and its text; with `lock`, nobody else writes it before the transaction ends."""
    query = sa.select(*_SHOWN, _t.c.content).where(_t.c.grid_id == grid_id, _t.c.name == name)
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else (made_of(Config, row), row.content)


async def existing(tx: Tx, grid_id: str, names: Collection[str]) -> frozenset[str]:
    """Those of the names that exist."""
    if not names:
        return frozenset()
    query = sa.select(_t.c.name).where(_t.c.grid_id == grid_id, _t.c.name.in_(names))
    return frozenset((await tx.execute(query)).scalars())


async def contents(tx: Tx, grid_id: str, names: Collection[str]) -> Mapping[str, str]:
    """Texts by name of those that exist, in one query."""
    query = sa.select(_t.c.name, _t.c.content).where(_t.c.grid_id == grid_id, _t.c.name.in_(names))
    return {row.name: row.content for row in await tx.execute(query)}


async def replace(tx: Tx, config_id: str, content: str) -> Config:
    """Store another text of a config that this transaction has locked."""
    change = _t.update().where(_t.c.id == config_id)
    values: dict[str, Any] = {"content": content, "updated_at": sa.func.now(), "revision": _t.c.revision + 1}
    return made_of(Config, (await tx.execute(change.values(values).returning(*_SHOWN))).one())


async def delete(tx: Tx, config_id: str) -> None:
    """Remove a config."""
    await tx.execute(_t.delete().where(_t.c.id == config_id))
