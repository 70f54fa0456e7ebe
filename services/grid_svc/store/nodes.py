"""Nodes in Postgres."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as pg_insert

from services.grid_svc.domain.join_token import StoredToken
from services.grid_svc.domain.node import Node, NodeChanges, Peer, region
from services.grid_svc.store import join_tokens, rows
from services.grid_svc.store.tables import grids, nodes
from services.kernel.db import AnyTx, Tx, run, unless_taken
from services.kernel.statements import Statement

UNIQUE_ENGINE_ID = "uq_nodes_node_id_grid_id"
_UNIQUE_TOKEN = "uq_nodes_token_digest"  # noqa: S105 -- a constraint.


@dataclass(frozen=True, slots=True)
class Occupied:
    """Numbers and names in use in a grid."""

    numbers: frozenset[int]
    names: frozenset[str]


_OF_GRIDS = Statement(
    sa.select(*rows.SESSION_COLUMNS)
    .where(nodes.c.grid_id == sa.func.any(sa.bindparam("grid_ids", type_=ARRAY(sa.Text))))
    .order_by(nodes.c.node_number)
)


async def of_grids(tx: AnyTx, grid_ids: Collection[str]) -> list[Node]:
    """All nodes of the grids by number, as far as sessions depend on them."""
    return [rows.row_to_session_node(row) for row in await run(tx, _OF_GRIDS, grid_ids=list(grid_ids))]


async def read(tx: Tx, ids: Collection[str] | None) -> list[Node]:
    """Nodes with these record ids, or all."""
    query = sa.select(*rows.COLUMNS)
    if ids is not None:
        query = query.where(nodes.c.id.in_(ids))
    return [rows.row_to_node(row) for row in await tx.execute(query)]


async def find(tx: Tx, grid_id: str, reference: str, *, lock: bool = False) -> Node | None:
    """The node of the grid with this name, or with this engine id when `reference` holds a colon."""
    column = nodes.c.engine_id if ":" in reference else nodes.c.name
    query = sa.select(*rows.COLUMNS).where(nodes.c.grid_id == grid_id, column == reference)
    row = (await tx.execute(query.with_for_update() if lock else query)).first()
    return None if row is None else rows.row_to_node(row)


_BY_ENGINE_ID = sa.select(*rows.COLUMNS).where(
    nodes.c.grid_id == sa.bindparam("grid"), nodes.c.engine_id == sa.bindparam("engine")
)
_FOUND, _LOCKED = Statement(_BY_ENGINE_ID), Statement(_BY_ENGINE_ID.with_for_update())


async def find_by_engine_id(tx: Tx, grid_id: str, engine_id: str, *, lock: bool = False) -> Node | None:
    """The node of the grid with this engine id, whatever it looks like."""
    found = await run(tx, _LOCKED if lock else _FOUND, grid=grid_id, engine=engine_id)
    return next(map(rows.row_to_node, found), None)


async def peers(tx: Tx, grid_id: str) -> list[Peer]:
    """What nodes of the grid know of each other, by node number."""
    columns = (nodes.c.id, nodes.c.labels, nodes.c.public_ip, nodes.c.private_ip)
    query = sa.select(*columns).where(nodes.c.grid_id == grid_id).order_by(nodes.c.node_number)
    return [Peer(row.id, region(row.labels), row.public_ip, row.private_ip) for row in await tx.execute(query)]


async def count(tx: Tx, grid_id: str) -> int:
    """Number of nodes in a grid."""
    query = sa.select(sa.func.count()).where(nodes.c.grid_id == grid_id)
    return int((await tx.execute(query)).scalar_one())


_USED: tuple[sa.ColumnElement[Any], ...] = (
    sa.func.array_agg(nodes.c.node_number),
    sa.func.array_agg(nodes.c.name).filter(sa.func.starts_with(nodes.c.name, sa.bindparam("beginning", type_=sa.Text))),
)
_OCCUPIED = Statement(sa.select(*_USED).where(nodes.c.grid_id == sa.bindparam("grid")))


async def occupied(tx: AnyTx, grid_id: str, name: str) -> Occupied:
    """Numbers in use in a grid, and names that begin like `name`; stays true while the grid is locked."""
    [(numbers, names)] = await run(tx, _OCCUPIED, grid=grid_id, beginning=name)
    return Occupied(frozenset(numbers or ()), frozenset(names or ()))


async def insert(tx: Tx, node: Node) -> bool:
    """Register a node; False when its token is taken."""
    statement = pg_insert(nodes).values(inserted_values(node)).on_conflict_do_nothing(constraint=_UNIQUE_TOKEN)
    return bool((await tx.execute(statement)).rowcount)


def inserted_values(node: Node) -> dict[str, Any]:
    """The columns of a new node that is not connected yet."""
    return {
        "id": node.id,
        "grid_id": node.grid_id,
        "engine_id": node.engine_id,
        "name": node.name,
        "node_number": node.node_number,
        "labels": list(node.labels),
        **join_tokens.values(node.token),
    }


async def set_token(tx: Tx, node: Node, token: StoredToken | None) -> bool:
    """Give a locked node another token, or none; False when it is taken."""
    values = {
        **join_tokens.values(token),
        "updated_at": sa.func.now(),
    }
    statement = nodes.update().where(nodes.c.id == node.id).values(values)
    return await unless_taken(tx, statement, _UNIQUE_TOKEN) is not None


async def change(tx: Tx, node: Node, changes: NodeChanges) -> Node:
    """Store what a user changed on a locked node."""
    values = {
        "labels": list(node.labels if changes.labels is None else changes.labels),
        "availability": changes.availability or node.availability,
        "updated_at": sa.func.now(),
    }
    statement = nodes.update().where(nodes.c.id == node.id).values(values).returning(*rows.COLUMNS)
    return rows.row_to_node((await tx.execute(statement)).one())


async def stale(tx: Tx, hours: float, *, lock: bool = False) -> list[Node]:
    """Nodes of the label `ephemeral` that are no initial members and were offline and unheard for so long.

    With `lock` those that another transaction has locked are left out.
    """
    late = sa.func.now() - sa.func.make_interval(0, 0, 0, 0, 0, 0, hours * 3600)
    query = (
        sa.select(*rows.COLUMNS)
        .join(grids, grids.c.id == nodes.c.grid_id)
        .where(
            ~nodes.c.connected,
            nodes.c.last_seen_at < late,
            nodes.c.node_number > grids.c.initial_size,
            sa.text(
                "exists (select from unnest(grid.nodes.labels) as label "
                "where label = 'ephemeral' or label like 'ephemeral=%')"
            ),
        )
    )
    locked = query.with_for_update(of=nodes, skip_locked=True)
    return [rows.row_to_node(row) for row in await tx.execute(locked if lock else query)]


async def delete(tx: Tx, node_id: str) -> None:
    """Unregister a node."""
    await tx.execute(nodes.delete().where(nodes.c.id == node_id))
