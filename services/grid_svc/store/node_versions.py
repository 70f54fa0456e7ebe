"""Which versions of nodes are current, with what of them changes with the time: all that a read asks each time."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from services.grid_svc.domain.node import Node, Peer, region
from services.grid_svc.store import rows
from services.grid_svc.store.tables import grids, nodes
from services.kernel.db import Database, Tx
from services.kernel.kept import Version, version_columns
from services.kernel.pages import Listing, Page, PreparedPages
from services.kernel.statements import Statement

_VERSION = version_columns(nodes)
_CURRENT = (nodes.c.id, *_VERSION, rows.CONFLICT)


@dataclass(frozen=True, slots=True)
class CurrentNode:
    """The version of a node that counts now."""

    id: str
    version: Version
    conflict: str | None


@dataclass(frozen=True, slots=True)
class CurrentGrid:
    """The version of a grid that counts now, with what `peers` reads."""

    id: str
    version: Version
    peers_text: str


def _peers_of(grid_id: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """One value, so that it is one statement with the node, and easily compared with that of before."""
    other = nodes.alias("peer")
    peer = sa.func.json_build_array(other.c.id, other.c.labels, other.c.public_ip, other.c.private_ip)
    found = sa.select(sa.func.json_agg(aggregate_order_by(peer, other.c.node_number)))
    return found.where(other.c.grid_id == grid_id).scalar_subquery().label("peers")


def _one(named: sa.ColumnElement[Any]) -> Statement:
    found = sa.and_(nodes.c.grid_id == grids.c.id, named == sa.bindparam("reference"))
    columns = (grids.c.id.label("found_grid_id"), *version_columns(grids), _peers_of(grids.c.id), *_CURRENT)
    return Statement(
        sa.select(*columns).select_from(grids.outerjoin(nodes, found)).where(grids.c.name == sa.bindparam("grid"))
    )


_BY_NAME, _BY_ENGINE_ID = _one(nodes.c.name), _one(nodes.c.engine_id)
_OF_GRID = PreparedPages(
    sa.select(*_CURRENT, nodes.c.name).where(nodes.c.grid_id == sa.bindparam("grid_id")),
    {"name": nodes.c.name.collate("C")},
)
_PEERS = Statement(sa.select(_peers_of(sa.bindparam("grid_id"))))


async def one(db: Database, grid: str, reference: str) -> tuple[CurrentGrid, CurrentNode | None] | None:
    """The grid with a name, with the node that has this name there, or this engine id when there is a colon in it."""
    found = await db.fetch(_BY_ENGINE_ID if ":" in reference else _BY_NAME, grid=grid, reference=reference)
    for grid_id, xmin, ctid, peers_text, *node in found:
        return CurrentGrid(grid_id, (xmin, ctid), peers_text or ""), None if node[0] is None else _current(*node)
    return None


async def of_grid(db: Database, grid_id: str, page: Page) -> Listing[CurrentNode]:
    """The nodes of a grid, sorted by name."""
    return await _OF_GRID.read(db, page, lambda row: _current(*row[:-1]), grid_id=grid_id)


async def load(tx: Tx, ids: Collection[str]) -> list[tuple[str, Version, Node]]:
    """Nodes by id with the versions that they have now."""
    query = sa.select(*rows.COLUMNS, *_VERSION).where(nodes.c.id.in_(ids))
    return [(row.id, (row.xmin, row.ctid), rows.row_to_node(row)) for row in await tx.execute(query)]


async def peers_text(db: Database, grid_id: str) -> str:
    """What `peers` reads: the same text while the nodes of the grid know the same of each other."""
    return (await db.fetch(_PEERS, grid_id=grid_id))[0].peers or ""


def peers(text: str) -> list[Peer]:
    """As `nodes.peers`."""
    found = json.loads(text) if text else ()
    return [Peer(node_id, region(labels), public_ip, private_ip) for node_id, labels, public_ip, private_ip in found]


def _current(node_id: str, xmin: int, ctid: tuple[int, int], conflict: str | None) -> CurrentNode:
    return CurrentNode(node_id, (xmin, ctid), conflict)
