"""How an agent joins its grid and stays known."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from services.grid_svc.domain import session as rules
from services.grid_svc.domain.grid import Grid
from services.grid_svc.domain.heartbeat import Rhythm
from services.grid_svc.domain.names import node_name
from services.grid_svc.domain.network import PeerUpdate
from services.grid_svc.domain.network_report import NetworkReport
from services.grid_svc.domain.node import AddressBook, Node, peer
from services.grid_svc.domain.refusals import SessionRefused
from services.grid_svc.domain.resource_usage import ResourceUsage
from services.grid_svc.domain.session import Heartbeat, Hello, JoinTokens, KeyProof, NodeDescription, NodeInfo, Refusal
from services.grid_svc.store import grids as grid_store
from services.grid_svc.store import node_sessions as store
from services.grid_svc.store import nodes as node_store
from services.grid_svc.store import tables
from services.grid_svc.usecases.grid_reads import GridReads
from services.grid_svc.usecases.live_sessions import HeartbeatDue, LiveSession, LiveSessions
from services.grid_svc.usecases.network_reports import NetworkReports
from services.grid_svc.usecases.nodes import resource
from services.grid_svc.usecases.peers import Peers
from services.grid_svc.usecases.samples import Samples
from services.kernel import audit
from services.kernel.cluster_token import ClusterTokens
from services.kernel.db import Database, Tx
from services.kernel.errors import InvalidRequest
from services.kernel.ids import new_id
from services.kernel.logs import get_logger
from services.kernel.node_key import NONCE_BYTES, Statement, proves
from services.kernel.session_refusals import SessionReason

log = get_logger(__name__)

# A stream that the peer resets looks for a moment like one it closed; the cancellation follows at once.
_GOODBYE_SECONDS = 0.1
_JOIN_TRIES = 3
_JITTER = 0.1
_NOTABLE_SKEW_SECONDS = 5.0
# Refusals of machines that showed a token of ours.
_TOLD_REJECTIONS = (SessionReason.VERSION_MISMATCH, SessionReason.NODE_HAS_TOKEN, SessionReason.NODE_KEY_REFUSED)
_PROOF_SECONDS = 10.0

Incoming = Hello | KeyProof | NodeInfo | ResourceUsage | Heartbeat | NetworkReport | None


@dataclass(frozen=True, slots=True)
class Welcome:
    """The session is open."""

    token: str
    node: NodeDescription
    heartbeat_seconds: float
    clock_skew_seconds: float


@dataclass(frozen=True, slots=True)
class HeartbeatReply:
    """Answer to a heartbeat; `token` is empty while the present one is good for long enough."""

    heartbeat_seconds: float
    token: str = ""


@dataclass(frozen=True, slots=True)
class KeyChallenge:
    """Asks the agent to prove that it has the key that it showed."""

    nonce: bytes


Outgoing = KeyChallenge | Welcome | HeartbeatReply | NodeDescription | PeerUpdate


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """What the master demands of agents. Durations are in seconds."""

    version: str
    rhythm: Rhythm
    token_refresh_seconds: float
    join_concurrency: int


class NodeSessions:
    """Opens sessions and speaks with agents until they end."""

    def __init__(
        self,
        db: Database,
        live: LiveSessions,
        tokens: ClusterTokens,
        *,
        grids: GridReads,
        samples: Samples,
        peers: Peers,
        reports: NetworkReports,
        terms: SessionTerms,
    ) -> None:
        self._db = db
        self._live = live
        self._grids = grids
        self._samples = samples
        self._peers = peers
        self._reports = reports
        self._tokens = tokens
        self._terms = terms
        # New nodes of a grid wait for one another; they must not do so with all connections of the pool in hand, nor
        # hold up nodes that come back.
        self._joining = asyncio.Semaphore(terms.join_concurrency)
        self._rejoining = asyncio.Semaphore(terms.join_concurrency)
        # Nor do they keep others waiting with what they tell.
        self._telling = asyncio.Semaphore(terms.join_concurrency)

    async def connect(self, shown: JoinTokens, incoming: AsyncIterator[Incoming]) -> AsyncIterator[Outgoing]:
        """Everything the master says to an agent. Raises SessionRefused at the beginning or whenever it must end."""
        hello = await self._hello(incoming)
        skew = (hello.sent_at - datetime.now(UTC)).total_seconds() if hello.sent_at else None
        refusal = rules.check_hello(hello, shown, self._terms.version)
        try:
            if refusal is not None:
                raise SessionRefused(refusal)
            if hello.node_key:
                challenge = KeyChallenge(secrets.token_bytes(NONCE_BYTES))
                yield challenge
                await self._check_proof(challenge, shown, hello, incoming)
            opened = await self._join(shown, hello, skew)
        except SessionRefused as error:
            await self._reject(shown, hello, error)
            raise
        live = self._live.add(opened.session, opened.name)
        reader: asyncio.Task[None] | None = None
        # No await in the way out: it may run while the event loop throws the generator away.
        try:
            description = await self._describe(live)
            live.told(description)
            await self._peers.follow(live)
            live.period = self._period()
            yield Welcome(self._tokens.for_node(live.session), description, _jittered(live.period), skew or 0.0)
            reader = asyncio.create_task(self._read(live, incoming))
            async for message in self._speak(live):
                yield message
        finally:
            if reader is not None:
                reader.cancel()
            self._peers.leave(live)
            self._reports.leave(live)
            self._live.remove(live)

    async def _hello(self, incoming: AsyncIterator[Incoming]) -> Hello:
        first = await self._next(incoming, self._terms.rhythm.seconds)
        if not isinstance(first, Hello):
            raise InvalidRequest("The first message must be hello")
        return replace(first, name=node_name(first.name))

    async def _check_proof(
        self, challenge: KeyChallenge, shown: JoinTokens, hello: Hello, incoming: AsyncIterator[Incoming]
    ) -> None:
        """Before anything is looked up: nobody learns which keys are known without having one."""
        try:
            async with asyncio.timeout(_PROOF_SECONDS):
                proof = await anext(incoming, None)
        except TimeoutError:
            raise SessionRefused(rules.NODE_KEY_UNPROVEN) from None
        statement = Statement(challenge.nonce, hello.engine_id, hello.start_id, shown.grid, shown.node)
        if not isinstance(proof, KeyProof) or not proves(hello.node_key, proof.signature, statement):
            raise SessionRefused(rules.NODE_KEY_UNPROVEN)

    async def _join(self, shown: JoinTokens, hello: Hello, skew: float | None) -> store.Opened:
        if skew is not None and abs(skew) > _NOTABLE_SKEW_SECONDS:
            log.warning("clock of a node differs", node_id=hello.engine_id, name=hello.name, seconds=round(skew, 1))
        async with self._rejoining, self._db.prepared() as again:
            opened = await store.reopen(again, shown, hello, skew)
        if opened is not None:
            return opened
        join = self._by_grid_token if shown.grid else self._by_own_token
        for _ in range(_JOIN_TRIES):
            async with self._joining, self._db.transaction() as tx:
                opened = await join(tx, shown, hello, skew)
            # None: the same machine joined over another connection in this moment; the next try sees it.
            if opened is not None:
                return opened
        raise SessionRefused(rules.NODE_ID_IN_USE)

    async def _reject(self, shown: JoinTokens, hello: Hello, error: SessionRefused) -> None:
        """Whoever looks at a node should see why its agent is not let in."""
        if error.reason == SessionReason.AGENT_SUPERSEDED:
            async with self._db.transaction() as tx:
                await store.note_conflict(tx, shown, hello, rules.conflict(hello))
        if error.reason in _TOLD_REJECTIONS:
            async with self._db.transaction() as tx:
                await store.reject(tx, shown, hello, error.close)

    async def _by_grid_token(self, tx: Tx, shown: JoinTokens, hello: Hello, skew: float | None) -> store.Opened | None:
        """A session of the node that this machine is in the grid whose token it shows; a new machine is registered.
        The token lets new machines in: one that proves the key of a node comes back with a token of yesterday too."""
        # One new node of a grid at a time: numbers and names are chosen from what is free under this lock.
        grid = await grid_store.lock_by_token(tx, shown.grid)
        if grid is not None:
            node = await node_store.find_by_engine_id(tx, grid.id, hello.engine_id, lock=True)
        else:
            node = await store.find_by_key(tx, hello) if hello.node_key else None
        if node is None:
            if grid is None:
                raise SessionRefused(rules.INVALID_GRID_TOKEN)
            return await self._register(tx, grid, hello, skew)
        refusal = rules.check_known(node) or rules.check_key(node, hello) or rules.check_start(node, hello)
        if refusal is not None:
            raise SessionRefused(refusal)
        return await store.open_session(tx, node.id, hello, skew)

    async def _by_own_token(self, tx: Tx, shown: JoinTokens, hello: Hello, skew: float | None) -> store.Opened | None:
        """A session of the node that shows its own token; its first machine is bound to it."""
        node = await store.find_by_token(tx, shown.node)
        if node is None:
            raise SessionRefused(rules.INVALID_NODE_TOKEN)
        known = (
            node.engine_id is None and await node_store.find_by_engine_id(tx, node.grid_id, hello.engine_id) is not None
        )
        refusal = (
            rules.check_own_token(node, hello.engine_id, engine_known=known)
            or rules.check_key(node, hello)
            or rules.check_start(node, hello)
        )
        if refusal is not None:
            raise SessionRefused(refusal)
        if node.engine_id is None and not await store.bind(tx, node, hello):
            return None
        return await store.open_session(tx, node.id, hello, skew)

    async def _register(self, tx: Tx, grid: Grid, hello: Hello, skew: float | None) -> store.Opened | None:
        used = await node_store.occupied(tx, grid.id, hello.name)
        new = rules.first_join(hello.name, grid, used.numbers, used.names)
        if isinstance(new, Refusal):
            raise SessionRefused(new)
        node = Node(new_id(), grid.id, new.name, new.node_number, hello.engine_id, labels=hello.labels)
        registered = await store.register(tx, node, hello, skew)
        if registered is not None:
            await audit.record(tx, tables.outbox, "create", resource(grid, node))
        return registered

    async def _describe(self, live: LiveSession) -> NodeDescription:
        """What the agent must know. Raises when the session is over already, which nobody else would notice yet."""
        session = live.session
        # As old as the last look at the grid. The join makes for another one, and the agent hears what is new then.
        book = self._live.book(session.grid_id)
        if book is None:
            async with self._db.read() as tx:
                book = AddressBook(await node_store.peers(tx, session.grid_id))
        node, version = await store.find(self._db, session.node_id) or (None, None)
        refusal = rules.standing(live.name, session.number, node)
        grid = version and await self._grids.known(session.grid_id, version)
        if refusal is not None or node is None or grid is None:
            raise SessionRefused(refusal or rules.INVALID_GRID_TOKEN)
        return rules.describe(node, grid, book.others(peer(node)))

    async def _speak(self, live: LiveSession) -> AsyncIterator[Outgoing]:
        token_since = self._live.clock()
        while (due := await live.next()) is not None:
            if not isinstance(due, HeartbeatDue):
                yield due
            elif self._live.clock() - token_since >= self._terms.token_refresh_seconds:
                token_since = self._live.clock()
                yield HeartbeatReply(_jittered(live.period), self._tokens.for_node(live.session))
            else:
                yield HeartbeatReply(_jittered(live.period))

    async def _read(self, live: LiveSession, incoming: AsyncIterator[Incoming]) -> None:
        try:
            while (message := await self._next(incoming, live.period)) is not None:
                self._live.heard(live)
                await self._handle(live, message)
            await asyncio.sleep(_GOODBYE_SECONDS)
            live.goodbye()
        except Exception as error:
            live.end(error)

    async def _next(self, incoming: AsyncIterator[Incoming], period: float) -> Incoming:
        """What the agent says next, None when it said all. Raises SessionRefused when it is silent for too long."""
        patience = self._terms.rhythm.patience(period)
        try:
            async with asyncio.timeout(patience):
                return await anext(incoming, None)
        except TimeoutError:
            raise SessionRefused(rules.silent(patience)) from None

    async def _handle(self, live: LiveSession, message: Incoming) -> None:
        match message:
            case Heartbeat():
                # Before the answer is on its way: from then on the agent may be silent for that long.
                live.period = self._period()
                live.beat()
            case NodeInfo():
                async with self._telling, self._db.prepared() as tx:
                    await store.store_info(tx, live.session, message)
            case ResourceUsage():
                self._samples.add(live.session, message)
            case NetworkReport():
                async with self._telling:
                    await self._reports.store(live, message)
            case _:
                raise InvalidRequest("hello may be sent only once")

    def _period(self) -> float:
        return self._terms.rhythm.period(self._live.count)


def _jittered(period: float) -> float:
    return period * random.uniform(1 - _JITTER, 1 + _JITTER)
