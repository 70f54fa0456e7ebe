"""Keeps the sessions of this replica and the database in step, in both directions."""

import asyncio
from collections import defaultdict
from collections.abc import Collection

from services.grid_svc.domain.node import AddressBook, Peer, peer
from services.grid_svc.domain.refusals import SessionRefused
from services.grid_svc.domain.session import INVALID_GRID_TOKEN, describe, standing
from services.grid_svc.store import grids as grid_store
from services.grid_svc.store import node_sessions as store
from services.grid_svc.store import nodes as node_store
from services.grid_svc.store.channels import GRIDS, NODES, grid_of
from services.grid_svc.usecases.live_sessions import LiveSessions
from services.kernel.db import Database
from services.kernel.listen import Listener, drain

_POLL_SECONDS = 30.0
_PAUSE_SECONDS = 0.05
_PAUSE_PER_SESSION_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 3.0


class SessionSync:
    """Three loops: follow changes, write signs of life, write ends."""

    def __init__(self, db: Database, listener: Listener, live: LiveSessions) -> None:
        self._db = db
        self._listener = listener
        self._live = live

    async def follow(self) -> None:
        """Tell agents what changed around them, and end sessions that are no longer the present ones."""
        async with self._listener.subscribe(GRIDS, NODES) as wake:
            while True:
                try:
                    async with asyncio.timeout(_POLL_SECONDS):
                        payloads = drain(wake, await wake.get())
                except TimeoutError:
                    payloads = {None}
                known = self._live.grids()
                lost = None in payloads
                concerned = known if lost else {grid_of(text) for text in payloads if text} & set(known)
                await self.refresh(concerned)
                # While many nodes come and go everything changes for everybody, all the time.
                told = sum(len(self._live.of_grid(grid_id)) for grid_id in concerned)
                await asyncio.sleep(min(_LONGEST_PAUSE_SECONDS, _PAUSE_SECONDS + told * _PAUSE_PER_SESSION_SECONDS))

    async def refresh(self, grid_ids: Collection[str]) -> None:
        """Judge and inform the sessions of these grids: two queries for any number."""
        # Chosen before the look, which cannot know of a session that begins meanwhile: it would take the new session
        # for an old one.
        begun = {grid_id: self._live.of_grid(grid_id) for grid_id in grid_ids}
        if not begun:
            return
        async with self._db.read() as tx:
            grids = {grid.id: grid for grid in await grid_store.read(tx, grid_ids)}
            nodes = await node_store.of_grids(tx, grid_ids)
        by_id = {node.id: node for node in nodes}
        peers: dict[str, list[Peer]] = defaultdict(list)
        for each in nodes:
            peers[each.grid_id].append(peer(each))
        books = {grid_id: AddressBook(found) for grid_id, found in peers.items()}
        self._live.keep(books)
        for grid_id, sessions in begun.items():
            for live in sessions:
                node = by_id.get(live.session.node_id)
                refusal = standing(live.name, live.session.number, node)
                if refusal is not None:
                    live.end(SessionRefused(refusal))
                elif grid_id not in grids or node is None:
                    live.end(SessionRefused(INVALID_GRID_TOKEN))
                else:
                    live.describe(describe(node, grids[grid_id], books[grid_id].others(peer(node))))

    async def write_sightings(self) -> None:
        """Write the signs of life since the last turn with one statement; sessions it does not match are judged."""
        heard = self._live.unwritten()
        if not heard:
            return
        now = self._live.clock()
        sightings = [store.Sighting(live.session, now - live.heard_at) for live in heard]
        async with self._db.transaction() as tx:
            present = await store.touch(tx, sightings)
        for live in heard:
            live.written_at = now
        await self.refresh({live.session.grid_id for live in heard if live.session not in present})

    async def write_ends(self) -> None:
        """Write which sessions ended: on purpose, or by a broken stream whose agent may come back in a moment."""
        closed = self._live.closed()
        if not closed:
            return
        lost = [live.session for live in closed if live.lost]
        left = defaultdict(list)
        for live in closed:
            if not live.lost:
                left[live.close].append(live.session)
        async with self._db.transaction() as tx:
            if lost:
                await store.lose(tx, lost)
            for close, sessions in left.items():
                await store.end(tx, sessions, close)
        self._live.forget(closed)
