"""The nodes as grid_svc knows them, followed by a watch and grouped by grid."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from kontena.grid.v1 import watch_pb2 as pb
from kontena.grid.v1.watch_pb2_grpc import GridWatchServiceStub
from services.kernel.client import ServiceChannel
from services.kernel.informer import Change, Delete, Informer, Synced, Upsert, changes
from services.kernel.members import made_of


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """The newest memory sample of a node, in bytes."""

    used: float
    free: float
    cached: float
    buffers: float


@dataclass(frozen=True, slots=True)
class Node:
    """A node; `id` is its record id and never reused, `session` the number of its newest session.

    `lost_at` is when it was lost by the monotonic clock of this process, None while it is connected.
    """

    id: str
    grid_id: str
    name: str
    number: int
    connected: bool = False
    availability: str = "active"
    labels: tuple[str, ...] = ()
    cpus: int = 0
    mem_total: float = 0.0
    memory: NodeMemory | None = None
    session: int = 0
    lost_at: float | None = None
    public_ip: str = ""
    private_ip: str = ""
    volume_drivers: tuple[str, ...] = ()
    engine_id: str = ""

    def lost_seconds(self, monotonic: float) -> float:
        """For how long the node has been lost; 0 while it is connected."""
        return 0.0 if self.lost_at is None else max(0.0, monotonic - self.lost_at)


class NodeDirectory:
    """Answers which nodes a grid has. `informer.run` must be supervised for as long as it is used."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._stub = channel.stub(GridWatchServiceStub)
        self._by_grid: dict[str, dict[str, Node]] = {}
        self._grid_of: dict[str, str] = {}
        self._awaited: dict[str, set[asyncio.Future[None]]] = {}
        self.informer: Informer[Node] = Informer("nodes", self._watch)
        self.informer.on_change(self._index)

    async def all(self) -> Mapping[str, Node]:
        """All nodes by id. Raises Unavailable before the first snapshot."""
        return await self.informer.items()

    async def in_grid(self, grid_id: str) -> list[Node]:
        """The nodes of a grid by number. Raises Unavailable before the first snapshot."""
        await self.informer.items()
        return sorted(self._by_grid.get(grid_id, {}).values(), key=lambda node: node.number)

    async def by_id(self, node_id: str) -> Node | None:
        """The node with this record id, or None when it is gone."""
        return (await self.informer.items()).get(node_id)

    async def awaited(self, node_id: str, seconds: float) -> Node | None:
        """As `by_id`, but one that is not known is waited for: whoever speaks of it may have heard of it earlier."""
        if (known := await self.by_id(node_id)) is not None:
            return known
        arrival = asyncio.get_running_loop().create_future()
        waiting = self._awaited.setdefault(node_id, set())
        waiting.add(arrival)
        try:
            async with asyncio.timeout(seconds):
                await arrival
        except TimeoutError:
            return None
        finally:
            waiting.discard(arrival)
            if not waiting:
                self._awaited.pop(node_id, None)
        return await self.by_id(node_id)

    def _index(self, change: Change[Node]) -> None:
        match change:
            case Upsert(key, node):
                self._by_grid.setdefault(node.grid_id, {})[key] = node
                self._grid_of[key] = node.grid_id
                for arrival in self._awaited.get(key, ()):
                    if not arrival.done():
                        arrival.set_result(None)
            case Delete(key):
                self._by_grid.get(self._grid_of.pop(key, ""), {}).pop(key, None)
            case Synced():
                pass

    def _watch(self) -> AsyncIterator[Change[Node]]:
        events = self._stub.WatchNodes(pb.WatchNodesRequest(), wait_for_ready=True)
        return changes(events, lambda record: (record.id, _node(record)))


def _node(record: pb.NodeRecord) -> Node:
    return made_of(
        Node,
        record,
        number=record.node_number,
        labels=tuple(record.labels),
        memory=made_of(NodeMemory, record.memory) if record.HasField("memory") else None,
        # Seconds by the clock of the database, so that the clocks of this machine and of grid_svc need not agree.
        lost_at=None if record.connected else time.monotonic() - record.disconnected_seconds,
        volume_drivers=tuple(driver.name for driver in record.volume_drivers),
        engine_id=record.node_id,
    )
