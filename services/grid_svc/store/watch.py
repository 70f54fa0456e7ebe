"""Records for watches."""

from collections.abc import Collection

import sqlalchemy as sa

from services.grid_svc.domain.grid import Grid, overlay_ip
from services.grid_svc.domain.node import Node
from services.grid_svc.domain.watch import GridRecord, NodeRecord
from services.grid_svc.store import grids as grid_store
from services.grid_svc.store import rows
from services.grid_svc.store.tables import grids, nodes
from services.kernel.db import Tx
from services.kernel.members import made_of


async def grid_records(tx: Tx, ids: Collection[str] | None) -> list[GridRecord]:
    """Grids with these ids, or all."""
    return [grid_record(grid) for grid in await grid_store.read(tx, ids)]


async def node_records(tx: Tx, ids: Collection[str] | None) -> list[NodeRecord]:
    """Nodes with these record ids, or all. One query."""
    query = sa.select(*rows.COLUMNS, grids.c.subnet, grids.c.initial_size).join(grids, grids.c.id == nodes.c.grid_id)
    if ids is not None:
        query = query.where(nodes.c.id.in_(ids))
    return [_node_record(rows.row_to_node(row), row.subnet, row.initial_size) for row in await tx.execute(query)]


def grid_record(grid: Grid) -> GridRecord:
    """What others see of a grid."""
    return made_of(GridRecord, grid)


def _node_record(node: Node, subnet: str, initial_size: int) -> NodeRecord:
    return made_of(
        NodeRecord,
        node,
        engine_id=node.engine_id or "",
        cpus=node.facts.cpus or 0,
        mem_total=node.facts.mem_total or 0.0,
        memory=node.stats.memory if node.stats else None,
        public_ip=node.facts.public_ip or "",
        private_ip=node.facts.private_ip or "",
        disconnected_at=None if node.connected else node.disconnected_at,
        volume_drivers=node.facts.volume_drivers,
        overlay_ip=overlay_ip(subnet, node.node_number),
        initial_member=node.node_number <= initial_size,
    )
