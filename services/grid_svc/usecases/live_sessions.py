"""The sessions whose streams end at this replica. In memory only, no I/O; loops and RPCs meet here."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from services.grid_svc.domain.network import PeerUpdate
from services.grid_svc.domain.node import AddressBook
from services.grid_svc.domain.refusals import SessionRefused
from services.grid_svc.domain.session import BROKEN, GOODBYE, Close, NodeDescription
from services.kernel.principal import NodeSession
from services.kernel.steps import Steps


@dataclass(frozen=True, slots=True)
class HeartbeatDue:
    """A heartbeat waits for its answer."""


class LiveSession:
    """What one stream must send next. Newer descriptions replace older ones, so a slow agent costs no memory."""

    def __init__(self, session: NodeSession, name: str, now: float) -> None:
        self.session = session
        self.name = name
        self.heard_at = now
        self.written_at = now
        self.said_goodbye = False
        # Seconds between two signs of life, as the agent was told last.
        self.period = 0.0
        self._description: NodeDescription | None = None
        self._told: NodeDescription | None = None
        self._peers: Steps[PeerUpdate] | None = None
        self._peers_told: int | None = None
        self._due: deque[PeerUpdate] = deque()
        self._heartbeat = False
        self._ended: Exception | None = None
        self._wake = asyncio.Event()

    def describe(self, description: NodeDescription) -> None:
        """Send this description unless the agent has it."""
        self._description = description
        self._wake.set()

    def told(self, description: NodeDescription) -> None:
        """The agent has this description."""
        self._told = description

    @property
    def grid(self) -> str:
        """Name of the grid, once the agent was told."""
        return "" if self._told is None else self._told.grid

    def follow_peers(self, peers: Steps[PeerUpdate]) -> None:
        """Send this list of peers, and from now on its steps."""
        self._peers, self._peers_told = peers, None
        self._due.clear()
        self._wake.set()

    def wake(self) -> None:
        """There is a new step of the list of peers."""
        self._wake.set()

    def beat(self) -> None:
        """Answer a heartbeat."""
        self._heartbeat = True
        self._wake.set()

    def goodbye(self) -> None:
        """The agent left on purpose."""
        self.said_goodbye = True
        self._wake.set()

    def end(self, error: Exception) -> None:
        """End the stream with an error; the first one counts."""
        self._ended = self._ended or error
        self._wake.set()

    @property
    def close(self) -> Close:
        """How it ended, if it did."""
        if isinstance(self._ended, SessionRefused):
            return self._ended.close
        return GOODBYE if self.said_goodbye else BROKEN

    @property
    def lost(self) -> bool:
        """Whether the stream ended without a reason that either side gave."""
        return not self.said_goodbye and not isinstance(self._ended, SessionRefused)

    async def next(self) -> NodeDescription | PeerUpdate | HeartbeatDue | None:
        """What to send next, None after a goodbye. Raises what `end` was given."""
        while True:
            if self._ended is not None:
                raise self._ended
            if self.said_goodbye:
                return None
            if self._heartbeat:
                self._heartbeat = False
                return HeartbeatDue()
            if self._description is not None and self._description != self._told:
                self._told = self._description
                return self._description
            if not self._due and self._peers is not None:
                self._due.extend(self._peers.after(self._peers_told))
                self._peers_told = self._peers.number
            if self._due:
                return self._due.popleft()
            self._wake.clear()
            await self._wake.wait()


class LiveSessions:
    """All of them, by grid, and those that ended but are not written yet. `ended` is set when there is one; `count` is
    how many there are."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.ended = asyncio.Event()
        self._by_grid: dict[str, dict[NodeSession, LiveSession]] = defaultdict(dict)
        self._closed: list[LiveSession] = []
        self.count = 0
        self._books: dict[str, AddressBook] = {}

    def add(self, session: NodeSession, name: str) -> LiveSession:
        """A session begins."""
        live = LiveSession(session, name, self.clock())
        self.count += session not in self._by_grid[session.grid_id]
        self._by_grid[session.grid_id][session] = live
        return live

    def remove(self, live: LiveSession) -> None:
        """A session's stream is over, for whatever reason."""
        sessions = self._by_grid[live.session.grid_id]
        self.count -= sessions.pop(live.session, None) is not None
        if not sessions:
            del self._by_grid[live.session.grid_id]
            self._books.pop(live.session.grid_id, None)
        self._closed.append(live)
        self.ended.set()

    def heard(self, live: LiveSession) -> None:
        """The agent gave a sign of life."""
        live.heard_at = self.clock()

    def keep(self, books: Mapping[str, AddressBook]) -> None:
        """Remember the addresses that the newest look at grids found, for grids with sessions here."""
        self._books.update((grid_id, book) for grid_id, book in books.items() if grid_id in self._by_grid)

    def book(self, grid_id: str) -> AddressBook | None:
        """The addresses of a grid as of the newest look, if there was one since it has sessions here."""
        return self._books.get(grid_id)

    def grids(self) -> Collection[str]:
        """Grids with sessions here."""
        return set(self._by_grid)

    def of_grid(self, grid_id: str) -> Collection[LiveSession]:
        """Sessions of a grid here."""
        return list(self._by_grid[grid_id].values()) if grid_id in self._by_grid else []

    def unwritten(self) -> list[LiveSession]:
        """Sessions that were heard since their last sign of life was written, in a stable order."""
        everywhere = (live for sessions in self._by_grid.values() for live in sessions.values())
        late = (live for live in everywhere if live.heard_at > live.written_at)
        return sorted(late, key=lambda live: live.session.node_id)

    def closed(self) -> list[LiveSession]:
        """Sessions whose end is not written yet."""
        return list(self._closed)

    def forget(self, written: Iterable[LiveSession]) -> None:
        """Their ends are written."""
        done = set(written)
        self._closed = [live for live in self._closed if live not in done]
