"""Which versions of nodes are current, with what of them changes with the time: all that a read asks each time."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from services.grid_svc.domain.node import Node, Peer
from services.grid_svc.store import nodes as store
from services.grid_svc.store import rows
from services.grid_svc.store.tables import grids, nodes
from services.kernel import pages
from services.kernel.db import Database, Tx
from services.kernel.kept import Version, version_columns
from services.kernel.pages import Listing, Page
from services.kernel.statements import Statement

_VERSION = version_columns(nodes)
_CURRENT = (nodes.c.id, *_VERSION, rows.CONFLICT)


@dataclass(frozen=True, slots=True)
class CurrentNode:
    """The version of a node that counts now."""

    id: str
    version: Version
    conflict: str | None


def _one(named: sa.ColumnElement[Any]) -> Statement:
    found = sa.and_(nodes.c.grid_id == grids.c.id, named == sa.bindparam("reference"))
    columns = (grids.c.id.label("found_grid_id"), *version_columns(grids), *_CURRENT)
    return Statement(
        sa.select(*columns).select_from(grids.outerjoin(nodes, found)).where(grids.c.name == sa.bindparam("grid"))
    )


_BY_NAME, _BY_ENGINE_ID = _one(nodes.c.name), _one(nodes.c.engine_id)
_PEERS = Statement(store.peers_of(sa.bindparam("grid_id")))


async def one(db: Database, grid: str, reference: str) -> tuple[str, Version, CurrentNode | None] | None:
    """Id and version of the grid with a name, with the node that has this name there, or this engine id when there is a
    colon in it."""
    found = await db.fetch(_BY_ENGINE_ID if ":" in reference else _BY_NAME, grid=grid, reference=reference)
    for grid_id, grid_xmin, grid_ctid, *node in found:
        return grid_id, (grid_xmin, grid_ctid), None if node[0] is None else _current(*node)
    return None


async def of_grid(tx: Tx, grid_id: str, page: Page) -> Listing[CurrentNode]:
    """The nodes of a grid, sorted by name."""
    query = sa.select(*_CURRENT, nodes.c.name).where(nodes.c.grid_id == grid_id)
    order = {"name": nodes.c.name.collate("C")}
    return await pages.read(tx, query, order, page, lambda row: _current(*row[:-1]))


async def load(tx: Tx, ids: Collection[str]) -> list[tuple[str, Version, Node]]:
    """Nodes by id with the versions that they have now."""
    query = sa.select(*rows.COLUMNS, *_VERSION).where(nodes.c.id.in_(ids))
    return [(row.id, (row.xmin, row.ctid), rows.row_to_node(row)) for row in await tx.execute(query)]


async def peers(db: Database, grid_id: str) -> list[Peer]:
    """As `nodes.peers`."""
    return list(map(store.row_to_peer, await db.fetch(_PEERS, grid_id=grid_id)))


def _current(node_id: str, xmin: int, ctid: tuple[int, int], conflict: str | None) -> CurrentNode:
    return CurrentNode(node_id, (xmin, ctid), conflict)
