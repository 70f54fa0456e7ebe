"""What users do with nodes."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.grid_svc.domain.grid import Grid
from services.grid_svc.domain.node import Node, NodeChanges, Peer, check_changes, peer
from services.grid_svc.store import nodes as store
from services.grid_svc.store.channels import nodes_changed
from services.grid_svc.usecases.access import accessible, changeable
from services.kernel import audit
from services.kernel.db import Database, Tx
from services.kernel.errors import NotFound
from services.kernel.outbox import Outbox
from services.kernel.principal import Principal


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node with what its JSON shows of its surroundings."""

    node: Node
    grid: Grid
    peers: Sequence[Peer]


class Nodes:
    """The verbs of nodes. A node is named `grid/name` or `grid/engine-id`."""

    def __init__(self, db: Database, outbox: Outbox) -> None:
        self._db = db
        self._outbox = outbox

    async def list(self, principal: Principal, grid_name: str) -> list[NodeView]:
        """All nodes of a grid by name: two queries for any number. Raises NotFound, Forbidden."""
        async with self._db.read() as tx:
            grid = await accessible(tx, principal, grid_name)
            nodes = await store.list_of_grids(tx, [grid.id])
        peers = [peer(node) for node in sorted(nodes, key=lambda node: node.node_number)]
        return [NodeView(node, grid, peers) for node in nodes]

    async def get(self, principal: Principal, path: str) -> NodeView:
        """One node. Raises NotFound, Forbidden."""
        grid_name, _, reference = path.partition("/")
        async with self._db.read() as tx:
            grid = await accessible(tx, principal, grid_name)
            return await self._view(tx, grid, _required(await store.find(tx, grid.id, reference)))

    async def update(self, principal: Principal, path: str, given: NodeChanges) -> NodeView:
        """Change labels and availability. Raises NotFound, Forbidden, ValidationFailed."""
        grid_name, _, reference = path.partition("/")
        async with self._db.transaction() as tx:
            grid = await changeable(tx, principal, grid_name)
            node = _required(await store.find(tx, grid.id, reference, lock=True))
            changes = check_changes(given)
            if changes != NodeChanges():
                node = await store.change(tx, node, changes)
                await self._record(tx, "update", node, grid)
            return await self._view(tx, grid, node)

    async def delete(self, principal: Principal, path: str) -> None:
        """Unregister a node, connected or not; its session ends. Raises NotFound, Forbidden."""
        grid_name, _, reference = path.partition("/")
        async with self._db.transaction() as tx:
            grid = await changeable(tx, principal, grid_name)
            node = _required(await store.find(tx, grid.id, reference, lock=True))
            await store.delete(tx, node.id)
            await self._record(tx, "remove node", node, grid)

    async def _view(self, tx: Tx, grid: Grid, node: Node) -> NodeView:
        return NodeView(node, grid, await store.peers(tx, grid.id))

    async def _record(self, tx: Tx, event: str, node: Node, grid: Grid) -> None:
        await nodes_changed(tx, [(grid.id, node.id)])
        resource = audit.Resource("HostNode", node.id, node.name, grid.id, grid.name)
        await audit.record(tx, self._outbox, event, resource)


def _required(node: Node | None) -> Node:
    if node is None:
        raise NotFound
    return node
