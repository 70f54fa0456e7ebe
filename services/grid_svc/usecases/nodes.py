"""What users do with nodes."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.grid_svc.domain.grid import Grid
from services.grid_svc.domain.join_token import NOT_USABLE, random_token
from services.grid_svc.domain.network import Peer, grid_full, last_node_number, seen_from, vantage_of
from services.grid_svc.domain.network_report import NetworkReport
from services.grid_svc.domain.node import (
    NAME_TAKEN,
    Node,
    NodeChanges,
    NodeInput,
    check_changes,
    check_new,
    lowest_free_number,
    not_connected,
    peer_ips,
)
from services.grid_svc.domain.node_view import ShownNode
from services.grid_svc.store import grids as grid_store
from services.grid_svc.store import network_reports, tables
from services.grid_svc.store import nodes as store
from services.grid_svc.store import peers as peer_store
from services.grid_svc.store.channels import nodes_changed
from services.grid_svc.usecases.access import accessible, administrable, changeable
from services.grid_svc.usecases.join_tokens import JoinTokens
from services.grid_svc.usecases.node_reads import NodeReads
from services.kernel import audit, call
from services.kernel.db import Database, Tx
from services.kernel.errors import ValidationFailed, required
from services.kernel.ids import new_id
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.principal import Principal


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node with what its JSON shows of its surroundings."""

    node: Node
    grid: Grid
    peer_ips: Sequence[str]


@dataclass(frozen=True, slots=True)
class HealthView:
    """A connected node with the nodes it is connected with, by number, and what its agent says of its network."""

    node: Node
    grid: Grid
    peers: Sequence[Peer]
    report: NetworkReport


class Nodes:
    """The verbs of nodes. A node is named `grid/name` or `grid/engine-id`."""

    def __init__(self, db: Database, tokens: JoinTokens, reads: NodeReads) -> None:
        self._db = db
        self._reads = reads
        self._tokens = tokens

    async def list(self, principal: Principal, grid_name: str, page: Page = WHOLE) -> Listing[ShownNode]:
        """The nodes of a grid by name. Raises NotFound, Forbidden."""
        return await self._reads.of_grid(principal, grid_name, page)

    async def create(self, principal: Principal, grid_name: str, given: NodeInput) -> NodeView:
        """Register a node ahead of its agent. grid_admin only. Raises NotFound, Forbidden, ValidationFailed."""
        async with self._db.transaction() as tx:
            grid = self._tokens.shown_to(principal, await administrable(tx, principal, grid_name))
            checked = check_new(given)
            node = await self._insert(tx, grid, checked)
            await record(tx, "create", node, grid)
            found = await store.find(tx, grid.id, node.name)
            return await view(tx, grid, required(found))

    async def get(self, principal: Principal, path: str) -> ShownNode:
        """One node. Raises NotFound, Forbidden."""
        grid_name, _, reference = path.partition("/")
        return await self._reads.one(principal, grid_name, reference)

    async def health(self, principal: Principal, path: str) -> HealthView:
        """One node that is connected. Raises NotFound, Forbidden, ValidationFailed with the reason if it is not."""
        grid_name, _, reference = path.partition("/")
        async with self._db.read() as tx:
            grid = await accessible(tx, principal, grid_name)
            node = required(await store.find(tx, grid.id, reference))
            if not node.connected:
                raise ValidationFailed({"connection": not_connected(node)})
            members = (await peer_store.of_grids(tx, [grid.id]))[grid.id]
            report = await network_reports.read(tx, node.id)
        own = required(members.pop(node.id, None))
        ground = grid.ground
        vantage = vantage_of(own, ground)
        seen = (seen_from(vantage, member, ground) for member in members.values())
        return HealthView(node, grid, [peer for peer in seen if peer is not None], report)

    async def update(self, principal: Principal, path: str, given: NodeChanges) -> NodeView:
        """Change labels and availability. Raises NotFound, Forbidden, ValidationFailed."""
        grid_name, _, reference = path.partition("/")
        async with self._db.transaction() as tx:
            grid = self._tokens.shown_to(principal, await changeable(tx, principal, grid_name))
            node = required(await store.find(tx, grid.id, reference, lock=True))
            call.check_if_match(node.etag)
            return await view(tx, grid, await change(tx, grid, node, check_changes(given)))

    async def delete(self, principal: Principal, path: str) -> None:
        """Unregister a node, connected or not; its session ends. Raises NotFound, Forbidden."""
        grid_name, _, reference = path.partition("/")
        async with self._db.transaction() as tx:
            grid = await changeable(tx, principal, grid_name)
            node = required(await store.find(tx, grid.id, reference, lock=True))
            call.check_if_match(node.etag)
            await store.delete(tx, node.id)
            await record(tx, "remove node", node, grid)

    async def _insert(self, tx: Tx, grid: Grid, checked: NodeInput) -> Node:
        # As for joins: numbers and names are chosen from what is free under this lock.
        required(await grid_store.lock(tx, grid.id))
        name = checked.name or ""
        used = await store.occupied(tx, grid.id, name)
        number = lowest_free_number(used.numbers, last_node_number(grid.subnet, grid.network))
        errors = {"name": NAME_TAKEN.format(name)} if name in used.names else {}
        if number is None:
            raise ValidationFailed({"node_number": grid_full(grid.subnet, grid.network), **errors})
        if errors:
            raise ValidationFailed(errors)
        node_id = new_id()
        token = self._tokens.stored(node_id, checked.token or random_token())
        node = Node(node_id, grid.id, name, number, token=token, labels=tuple(checked.labels))
        if not await store.insert(tx, node):
            raise ValidationFailed({"token": NOT_USABLE})
        return node


async def view(tx: Tx, grid: Grid, node: Node) -> NodeView:
    """A node with its surroundings."""
    return NodeView(node, grid, peer_ips(node.id, node.labels, await store.peers(tx, grid.id)))


async def change(tx: Tx, grid: Grid, node: Node, changes: NodeChanges) -> Node:
    """Store checked changes of a locked node and tell everybody; nothing happens when there are none."""
    if changes == NodeChanges():
        return node
    changed = await store.change(tx, node, changes)
    await record(tx, "update", changed, grid)
    return changed


async def record(tx: Tx, event: str, node: Node, grid: Grid) -> None:
    """Tell followers and the audit trail what happened to a node."""
    await nodes_changed(tx, [(grid.id, node.id)])
    await audit.record(tx, tables.outbox, event, resource(grid, node))


def resource(grid: Grid, node: Node) -> audit.Resource:
    """The node as the audit trail names it."""
    return audit.Resource("HostNode", node.id, node.name, grid.id, grid.name)
