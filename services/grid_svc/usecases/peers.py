"""Tells the agents whose sessions end at this replica which nodes they are connected with."""

import asyncio
from collections.abc import Collection, Mapping

from services.grid_svc.domain.network import Ground, Member, PeerUpdate, Vantage
from services.grid_svc.domain.peer_views import PeerViews
from services.grid_svc.store import grids as grid_store
from services.grid_svc.store import peers as store
from services.grid_svc.store.channels import grid_of, node_of
from services.grid_svc.usecases.live_sessions import LiveSession
from services.kernel.db import Database
from services.kernel.steps import Steps

# The list of a node that sees nobody: its grid is gone, or the node itself.
_NOBODY: Steps[PeerUpdate] = Steps(lambda: (PeerUpdate(True),))


class Peers:
    """One copy of the members of each grid that has followers here, and of what they were told. Reads are in order, so
    nothing newer is overwritten by something older."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._views: dict[str, PeerViews] = {}
        self._grounds: dict[str, Ground] = {}
        self._followers: dict[str, dict[LiveSession, Vantage | None]] = {}
        self._reading = asyncio.Lock()

    async def follow(self, live: LiveSession) -> None:
        """Tell this session the complete list, and from now on every change."""
        grid_id = live.session.grid_id
        async with self._reading:
            if grid_id not in self._views:
                await self._load([grid_id])
            self._followers.setdefault(grid_id, {})[live] = None
            self._place(grid_id, live, first=True)

    def leave(self, live: LiveSession) -> None:
        """The session is over."""
        followers = self._followers.get(live.session.grid_id, {})
        followers.pop(live, None)
        if not followers:
            for known in (self._followers, self._views, self._grounds):
                known.pop(live.session.grid_id, None)

    async def refresh(self, payloads: Collection[str | None]) -> None:
        """Take over what was notified; None among the payloads: all that is known here is read again."""
        async with self._reading:
            concerned = {grid_of(text) for text in payloads if text} & set(self._followers)
            if None in payloads:
                await self._load(list(self._followers))
            elif concerned:
                await self._change(payloads, concerned)

    async def _load(self, grid_ids: Collection[str]) -> None:
        async with self._db.read() as tx:
            grids = {grid.id: grid for grid in await grid_store.read(tx, grid_ids)}
            members = await store.of_grids(tx, list(grids))
        for grid_id, grid in grids.items():
            self._grounds[grid_id] = grid.ground
            if grid_id in self._views:
                self._tell(grid_id, members[grid_id], None)
            else:
                self._views[grid_id] = PeerViews(grid.ground, members[grid_id])

    async def _change(self, payloads: Collection[str | None], concerned: Collection[str]) -> None:
        changed: dict[str, set[str]] = {grid_id: set() for grid_id in concerned}
        for text in payloads:
            if text and grid_of(text) in changed and node_of(text):
                changed[grid_of(text)].add(node_of(text))
        grid_ids = {text for text in payloads if text in changed}
        async with self._db.read() as tx:
            grids = await grid_store.read(tx, grid_ids) if grid_ids else []
            found = await store.read(tx, set().union(*changed.values()))
        self._grounds.update({grid.id: grid.ground for grid in grids})
        by_grid: dict[str, dict[str, Member]] = {grid_id: {} for grid_id in changed}
        for grid_id, member in found:
            by_grid.setdefault(grid_id, {})[member.id] = member
        for grid_id, asked in changed.items():
            if grid_id in self._views:
                self._tell(grid_id, by_grid[grid_id], asked)

    def _tell(self, grid_id: str, found: Mapping[str, Member], asked: Collection[str] | None) -> None:
        changed = self._views[grid_id].change(self._grounds[grid_id], found, asked)
        followers = self._followers.get(grid_id, {})
        for live, vantage in list(followers.items()):
            if self._place(grid_id, live) == vantage and vantage in changed:
                live.wake()
        self._views[grid_id].keep({vantage for vantage in followers.values() if vantage is not None})

    def _place(self, grid_id: str, live: LiveSession, *, first: bool = False) -> Vantage | None:
        """Where the session's node looks from now; from another place than before it hears the complete list."""
        followers, views = self._followers[grid_id], self._views.get(grid_id)
        before = followers[live]
        vantage = None if views is None else views.vantage(live.session.node_id)
        if vantage != before or first:
            followers[live] = vantage
            live.follow_peers(_NOBODY if views is None or vantage is None else views.steps(vantage))
        return vantage
