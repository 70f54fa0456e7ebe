"""Queries and writes of the volumes of grids."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from services.deploy_svc.domain.volume import GridVolume
from services.deploy_svc.store import stack_tables, tables
from services.deploy_svc.store.jsonb import OPTIONS, read
from services.kernel import pages
from services.kernel.db import AnyTx, Tx, run
from services.kernel.ids import new_id
from services.kernel.members import made_of
from services.kernel.pages import Listing, Page
from services.kernel.statements import Statement

_t = stack_tables.volumes
_i = stack_tables.volume_instances
_r = stack_tables.volume_removals
_s = tables.services

_UNIQUE_NAME = "uq_volumes_grid_id_name"

_named = _t.select().where(
    _t.c.grid_id == sa.bindparam("grid_id"), _t.c.name == sa.any_(sa.bindparam("names", type_=ARRAY(sa.Text)))
)
_NAMED = Statement(_named)
_NAMED_LOCKED = Statement(_named.order_by(_t.c.id).with_for_update(read=True, key_share=True))


async def insert(tx: Tx, **values: Any) -> GridVolume | None:
    """A new volume; None when the name is taken."""
    statement = upsert(_t).values(id=new_id(), **values).on_conflict_do_nothing(constraint=_UNIQUE_NAME).returning(_t)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _volume(row)


async def of_grid(tx: Tx, grid_id: str, page: Page) -> Listing[GridVolume]:
    """The volumes of a grid in the order of creation."""
    return await pages.read(tx, _t.select().where(_t.c.grid_id == grid_id), {"seq": _t.c.seq}, page, _volume)


async def find(tx: Tx, grid_id: str, name: str, *, lock: bool = False) -> GridVolume | None:
    """The volume with a name; with `lock`, nobody else starts to use it before the transaction ends."""
    query = _t.select().where(_t.c.grid_id == grid_id, _t.c.name == name)
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _volume(row)


async def find_many(tx: AnyTx, grid_id: str, names: Collection[str], *, lock: bool = False) -> dict[str, GridVolume]:
    """Those of the names that exist; with `lock`, they cannot be deleted before the transaction ends."""
    if not names:
        return {}
    rows = await run(tx, _NAMED_LOCKED if lock else _NAMED, grid_id=grid_id, names=list(names))
    return {row.name: made_of(GridVolume, row, driver_opts=read(OPTIONS, row.driver_opts)) for row in rows}


async def instances(tx: Tx, volume_ids: Collection[str]) -> Mapping[str, list[tuple[str, str]]]:
    """(node, engine volume) by volume id."""
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    if volume_ids:
        query = _i.select().where(_i.c.volume_id.in_(volume_ids)).order_by(_i.c.node, _i.c.name)
        for row in await tx.execute(query):
            found[row.volume_id].append((row.node, row.name))
    return found


async def users(tx: Tx, grid_id: str) -> Mapping[str, list[str]]:
    """Paths of the services that mount a volume of the grid, by volume id."""
    mount = sa.func.jsonb_array_elements(_s.c.mounts).table_valued("value").render_derived("mount")
    volume_id = sa.cast(mount.c.value, _s.c.mounts.type)["volume_id"].astext
    query = (
        sa.select(volume_id.label("volume_id"), _s.c.grid, _s.c.stack, _s.c.name)
        .select_from(_s.join(mount, sa.true()))
        .where(_s.c.grid_id == grid_id)
        .distinct()
        .order_by(_s.c.stack, _s.c.name)
    )
    found: defaultdict[str, list[str]] = defaultdict(list)
    for row in await tx.execute(query):
        found[row.volume_id].append(f"{row.grid}/{row.stack}/{row.name}")
    return found


async def delete(tx: Tx, volume_id: str) -> None:
    """Forget a volume; what nodes hold of it is to be removed (volume_removals.py)."""
    held = sa.select(_i.c.node_id, _i.c.name).where(_i.c.volume_id == volume_id)
    await tx.execute(upsert(_r).from_select(["node_id", "name"], held).on_conflict_do_nothing())
    await tx.execute(_t.delete().where(_t.c.id == volume_id))


async def record_instances(tx: Tx, rows: Collection[Mapping[str, str]]) -> None:
    """Volumes (`volume_id`, `node_id`, `node`, `name`) are on their way to nodes; known ones stay as they are.

    Volumes that are gone are left out: a rollback may mount one.
    """
    if not rows:
        return
    ids = sorted({row["volume_id"] for row in rows})
    query = sa.select(_t.c.id).where(_t.c.id.in_(ids)).order_by(_t.c.id).with_for_update(read=True, key_share=True)
    there = set((await tx.execute(query)).scalars())
    unique = {tuple(row.values()): row for row in rows if row["volume_id"] in there}
    if unique:
        await tx.execute(upsert(_i).values(list(unique.values())).on_conflict_do_nothing())
        # What a volume of the same name left behind is in use again.
        again = [(row["node_id"], row["name"]) for row in unique.values()]
        await tx.execute(_r.delete().where(sa.tuple_(_r.c.node_id, _r.c.name).in_(again)))


def _volume(row: Any) -> GridVolume:
    return made_of(GridVolume, row)
