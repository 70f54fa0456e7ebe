"""Tells nodes where the instances of their grid are."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from services.clients.nodes import Node, NodeDirectory
from services.deploy_svc.domain.endpoint import Endpoint, EndpointUpdate, listing, steps
from services.deploy_svc.store import endpoints as store
from services.deploy_svc.store.tables import ENDPOINT_CHANGED
from services.deploy_svc.usecases.current_session import SessionEnded
from services.kernel.db import Database
from services.kernel.informer import Change, Delete, Synced, Upsert
from services.kernel.listen import Listener, drain
from services.kernel.principal import NodeSession
from services.kernel.session_refusals import SessionReason
from services.kernel.steps import Steps

_POLL_SECONDS = 60.0
# Many instances that come or go at once are one read and one message, not hundreds; the more so, the more nodes are
# told: about what it takes to tell one of them, for everybody on the way.
_GATHER_SECONDS = 0.05
_TELL_SECONDS = 0.001
_AT_ONCE = 50


def gather_seconds(followers: int) -> float:
    """For how long changes are gathered before so many nodes are told of them."""
    return _GATHER_SECONDS + followers * _TELL_SECONDS


class _Follower:
    """A node that is told. `wake` is set when there is something new."""

    def __init__(self, session: NodeSession) -> None:
        self.session = session
        self.wake = asyncio.Event()
        self._ended: SessionEnded | None = None

    def end(self, reason: SessionEnded) -> None:
        self._ended = reason
        self.wake.set()

    async def woken(self) -> None:
        await self.wake.wait()
        if self._ended is not None:
            raise self._ended
        self.wake.clear()


class _Grid:
    """The endpoints of a grid with followers here."""

    def __init__(self, found: Mapping[str, Endpoint]) -> None:
        self.known = dict(found)
        self.followers: set[_Follower] = set()
        self.steps: Steps[EndpointUpdate] = Steps(self._whole)
        self._listing: tuple[EndpointUpdate, ...] | None = None

    def _whole(self) -> tuple[EndpointUpdate, ...]:
        if self._listing is None:
            self._listing = listing(list(self.known.values()))
        return self._listing

    def take(self, found: Mapping[str, Endpoint], asked: Iterable[str]) -> None:
        """The instances `asked` about are now as `found`."""
        changes = {key: found.get(key) for key in asked if self.known.get(key) != found.get(key)}
        if not changes:
            return
        self._listing = None
        for key, endpoint in changes.items():
            if endpoint is None:
                del self.known[key]
            else:
                self.known[key] = endpoint
        self.steps.add(*steps(changes))
        _wake_all(iter(list(self.followers)))


def _wake_all(followers: Iterator[_Follower]) -> None:
    """A few in each turn of the event loop, so that nobody else waits for a message to each of a thousand."""
    portion = list(islice(followers, _AT_ONCE))
    for follower in portion:
        follower.wake.set()
    if portion:
        asyncio.get_running_loop().call_soon(_wake_all, followers)


class Endpoints:
    """One copy of the endpoints of each grid that has followers here. `run` must be supervised. Reads are in order, so
    nothing newer is overwritten by something older."""

    def __init__(self, db: Database, listener: Listener, nodes: NodeDirectory) -> None:
        self._db = db
        self._listener = listener
        self._grids: dict[str, _Grid] = {}
        self._nodes = nodes
        self._lost: set[str] = set()
        # Nodes that went or came back since that was told.
        self._moved: set[str] = set()
        self._moves = asyncio.Event()
        self._reading = asyncio.Lock()
        nodes.informer.on_change(self._observe)

    async def run(self) -> None:
        """Follow what changes, for ever."""
        async with self._listener.subscribe(ENDPOINT_CHANGED) as wake, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_nodes())
            while True:
                try:
                    async with asyncio.timeout(_POLL_SECONDS):
                        first = await wake.get()
                except TimeoutError:
                    first = None
                await self._refresh(drain(wake, first))
                await self._gather()

    async def _follow_nodes(self) -> None:
        """A thousand nodes that come back one by one are a few steps, not one for each: who has to hear all of them
        falls behind, and then hears the whole list again and again."""
        while True:
            await self._moves.wait()
            self._moves.clear()
            moved, self._moved = self._moved, set()
            for grid in self._grids.values():
                here = {key: self._mark(item) for key, item in grid.known.items() if item.node_id in moved}
                grid.take(here, here)
            await self._gather()

    async def _gather(self) -> None:
        await asyncio.sleep(gather_seconds(sum(len(grid.followers) for grid in self._grids.values())))

    async def watch(self, session: NodeSession) -> AsyncIterator[EndpointUpdate]:
        """The complete list of the node's grid, then changes. Raises SessionEnded when the node is removed from its
        grid or has a newer session."""
        grid_id = session.grid_id
        follower = _Follower(session)
        node = await self._nodes.by_id(session.node_id)
        if node is not None:
            self._judge(follower, node)
        async with self._reading:
            if grid_id not in self._grids:
                self._grids[grid_id] = _Grid(self._marked((await self._read([grid_id])).get(grid_id, {})))
            grid = self._grids[grid_id]
            grid.followers.add(follower)
        try:
            number = None
            while True:
                told, number = grid.steps.after(number), grid.steps.number
                for update in told:
                    yield update
                await follower.woken()
        finally:
            grid.followers.discard(follower)
            if not grid.followers and self._grids.get(grid_id) is grid:
                del self._grids[grid_id]

    async def _refresh(self, payloads: Collection[str | None]) -> None:
        async with self._reading:
            if None in payloads:
                found = await self._read(list(self._grids))
                for grid_id, grid in self._grids.items():
                    now = self._marked(found.get(grid_id, {}))
                    grid.take(now, {*grid.known, *now})
                return
            changed: dict[str, set[str]] = {}
            for text in payloads:
                grid_id, _, instance_id = (text or "").partition("/")
                if grid_id in self._grids:
                    changed.setdefault(grid_id, set()).add(instance_id)
            if changed:
                async with self._db.read() as tx:
                    now = self._marked(await store.of_instances(tx, set().union(*changed.values())))
                for grid_id, ids in changed.items():
                    if grid_id in self._grids:
                        self._grids[grid_id].take(now, ids)

    async def _read(self, grid_ids: Collection[str]) -> dict[str, dict[str, Endpoint]]:
        async with self._db.read() as tx:
            return await store.of_grids(tx, grid_ids)

    def _marked(self, found: Mapping[str, Endpoint]) -> dict[str, Endpoint]:
        return {key: self._mark(endpoint) for key, endpoint in found.items()}

    def _mark(self, endpoint: Endpoint) -> Endpoint:
        lost = endpoint.node_id in self._lost
        return endpoint if endpoint.lost == lost else replace(endpoint, lost=lost)

    def _observe(self, change: Change[Node]) -> None:
        match change:
            case Upsert(node_id, node):
                self._set_lost(node_id, lost=not node.connected)
                for follower in self._of_node(node):
                    self._judge(follower, node)
            case Delete(node_id):
                self._set_lost(node_id, lost=True)
                for follower in [each for grid in self._grids.values() for each in grid.followers]:
                    if follower.session.node_id == node_id:
                        follower.end(SessionEnded("The node was removed from its grid.", SessionReason.NODE_REMOVED))
            case Synced():
                pass

    def _of_node(self, node: Node) -> list[_Follower]:
        followers = self._grids[node.grid_id].followers if node.grid_id in self._grids else ()
        return [follower for follower in followers if follower.session.node_id == node.id]

    @staticmethod
    def _judge(follower: _Follower, node: Node) -> None:
        if node.session > follower.session.number:
            follower.end(SessionEnded("A newer session of this node is open."))

    def _set_lost(self, node_id: str, *, lost: bool) -> None:
        if lost == (node_id in self._lost):
            return
        (self._lost.add if lost else self._lost.discard)(node_id)
        self._moved.add(node_id)
        self._moves.set()
