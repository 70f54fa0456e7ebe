"""Nodes in Postgres."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from services.grid_svc.domain.node import Node, NodeChanges, Peer, region
from services.grid_svc.store import rows
from services.grid_svc.store.tables import nodes
from services.kernel.db import Tx

UNIQUE_ENGINE_ID = "uq_nodes_node_id"


@dataclass(frozen=True, slots=True)
class Occupied:
    """Numbers and names in use in a grid."""

    numbers: frozenset[int]
    names: frozenset[str]


async def list_of_grids(tx: Tx, grid_ids: Collection[str]) -> list[Node]:
    """All nodes of the grids, sorted by name."""
    query = sa.select(*rows.COLUMNS).where(nodes.c.grid_id.in_(grid_ids)).order_by(nodes.c.name.collate("C"))
    return [rows.node(row) for row in await tx.execute(query)]


async def read(tx: Tx, ids: Collection[str] | None) -> list[Node]:
    """Nodes with these record ids, or all."""
    query = sa.select(*rows.COLUMNS)
    if ids is not None:
        query = query.where(nodes.c.id.in_(ids))
    return [rows.node(row) for row in await tx.execute(query)]


async def find(tx: Tx, grid_id: str, reference: str, *, lock: bool = False) -> Node | None:
    """The node of the grid with this name, or with this engine id when `reference` holds a colon."""
    if "\x00" in reference:
        return None
    column = nodes.c.node_id if ":" in reference else nodes.c.name
    query = sa.select(*rows.COLUMNS).where(nodes.c.grid_id == grid_id, column == reference)
    row = (await tx.execute(query.with_for_update() if lock else query)).first()
    return None if row is None else rows.node(row)


async def peers(tx: Tx, grid_id: str) -> list[Peer]:
    """What nodes of the grid know of each other, by node number."""
    columns = (nodes.c.id, nodes.c.labels, nodes.c.public_ip, nodes.c.private_ip)
    query = sa.select(*columns).where(nodes.c.grid_id == grid_id).order_by(nodes.c.node_number)
    return [Peer(row.id, region(row.labels), row.public_ip, row.private_ip) for row in await tx.execute(query)]


async def count(tx: Tx, grid_id: str) -> int:
    """Number of nodes in a grid."""
    query = sa.select(sa.func.count()).where(nodes.c.grid_id == grid_id)
    return int((await tx.execute(query)).scalar_one())


async def occupied(tx: Tx, grid_id: str) -> Occupied:
    """Numbers and names in use in a grid; stays true while the grid is locked."""
    found = (await tx.execute(sa.select(nodes.c.node_number, nodes.c.name).where(nodes.c.grid_id == grid_id))).all()
    return Occupied(frozenset(row.node_number for row in found), frozenset(row.name for row in found))


async def insert(tx: Tx, node: Node) -> None:
    """Register a node. Raises IntegrityError for UNIQUE_ENGINE_ID."""
    await tx.execute(
        nodes.insert().values(
            id=node.id,
            grid_id=node.grid_id,
            node_id=node.node_id,
            name=node.name,
            node_number=node.node_number,
            labels=list(node.labels),
        )
    )


async def change(tx: Tx, node: Node, changes: NodeChanges) -> Node:
    """Store what a user changed on a locked node."""
    values = {
        "labels": list(node.labels if changes.labels is None else changes.labels),
        "availability": changes.availability or node.availability,
        "updated_at": sa.func.now(),
    }
    statement = nodes.update().where(nodes.c.id == node.id).values(values).returning(*rows.COLUMNS)
    return rows.node((await tx.execute(statement)).one())


async def delete(tx: Tx, node_id: str) -> None:
    """Unregister a node."""
    await tx.execute(nodes.delete().where(nodes.c.id == node_id))
