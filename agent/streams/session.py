"""The node's session with the master: join, heartbeats, node info and stats; reconnects for ever."""

import asyncio
import contextlib
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from agent.domain.backoff import next_attempt, reconnect_delay, refused_delay, superseded_delay
from agent.domain.errors import AgentError
from agent.machine import Machine
from agent.node_key import NodeKey
from agent.streams.calls import StreamEnded, describe, reason_of, until_first, write
from agent.streams.membership import Membership
from kontena.grid.v1 import node_session_pb2, node_session_pb2_grpc
from services.kernel.logs import get_logger
from services.kernel.node_key import Statement
from services.kernel.session_refusals import SessionReason

log = get_logger(__name__)

_FIRST_ANSWER_SECONDS = 15.0
_DEFAULT_PERIOD = 10.0
_REPORT_SECONDS = 60.0
# Somebody has to act before the master accepts this agent again; it keeps asking, slowly.
REFUSALS = {reason for reason in SessionReason if reason.fatal} | {
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "INVALID_ARGUMENT",
    "UNIMPLEMENTED",
}
# Another agent is this node now: nothing else may be said in its name either.
_SUPERSEDED = (SessionReason.SESSION_SUPERSEDED, SessionReason.AGENT_SUPERSEDED)

_Call = Any


@dataclass(frozen=True, slots=True)
class Introduction:
    """How this node presents itself."""

    node_id: str
    name: str
    version: str
    labels: list[str]
    metadata: tuple[tuple[str, str], ...]
    key: NodeKey | None = None
    # Of this process: of two agents with one id, the master lets the one in that was started later.
    start_id: str = field(default_factory=lambda: secrets.token_hex(8))

    def proof(self, nonce: bytes) -> bytes:
        """The signature that answers a challenge; empty without a key."""
        if self.key is None:
            return b""
        shown = dict(self.metadata)
        tokens = (shown.get("kontena-grid-token", ""), shown.get("kontena-node-token", ""))
        return self.key.sign(Statement(nonce, self.node_id, self.start_id, *tokens))

    def __repr__(self) -> str:
        return f"Introduction(node_id={self.node_id!r}, name={self.name!r})"


class NodeNetworkKeeper(Protocol):
    """Keeps this node connected with the others of its grid."""

    @property
    def news(self) -> asyncio.Event:
        """Set when the master should hear of something at once."""

    def update_peers(self, update: node_session_pb2.PeerUpdate) -> None:
        """The peers changed."""

    def node_network(self) -> node_session_pb2.NodeNetwork:
        """What other nodes need to reach the containers of this one."""

    async def report(self) -> node_session_pb2.NetworkReport:
        """How it is."""


class Session:
    """Keeps the session open. `on_node` learns who the master says this node is."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        introduction: Introduction,
        membership: Membership,
        machine: Machine,
        on_node: Callable[[node_session_pb2.NodeDescription], None],
        *,
        network: NodeNetworkKeeper | None = None,
    ) -> None:
        self._stub = node_session_pb2_grpc.NodeSessionServiceStub(channel)
        self._introduction = introduction
        self._membership = membership
        self._machine = machine
        self._on_node = on_node
        self._network = network
        self._period = _DEFAULT_PERIOD
        self._answered = asyncio.Event()

    async def run(self) -> None:
        """Never returns: whatever happens, it connects again."""
        clock = asyncio.get_running_loop()
        attempt = 0
        while True:
            started = clock.time()
            try:
                await self._connect()
                reason, words = "ENDED", "the session ended"
            except (grpc.aio.AioRpcError, AgentError, OSError, TimeoutError) as error:
                reason, words = reason_of(error), describe(error)
            attempt = next_attempt(attempt, clock.time() - started, reason)
            refused = reason in REFUSALS
            if reason in _SUPERSEDED:
                await self._membership.leave()
            delay = delay_after(reason, attempt, random.random())
            report = log.error if refused else log.warning
            report("not connected to the master", reason=reason, cause=words, retry_in=round(delay, 1))
            await asyncio.sleep(delay)

    async def _connect(self) -> None:
        call: _Call = self._stub.Connect(metadata=self._introduction.metadata)
        try:
            async with asyncio.timeout(_FIRST_ANSWER_SECONDS):
                await write(call, node_session_pb2.ConnectRequest(hello=self._hello()))
                first = await call.read()
                if first is not grpc.aio.EOF and first.WhichOneof("message") == "challenge":
                    proof = node_session_pb2.KeyProof(signature=self._introduction.proof(first.challenge.nonce))
                    await write(call, node_session_pb2.ConnectRequest(proof=proof))
                    first = await call.read()
            if first is grpc.aio.EOF or first.WhichOneof("message") != "welcome":
                raise StreamEnded("the master did not welcome this node")
            await self._welcome(first.welcome)
            lock = asyncio.Lock()
            await until_first(
                self._receive(call),
                self._heartbeats(call, lock),
                self._reports(call, lock),
                self._membership.distrusted(),
            )
        finally:
            call.cancel()

    def _hello(self) -> node_session_pb2.Hello:
        now = Timestamp()
        now.GetCurrentTime()
        return node_session_pb2.Hello(
            node_id=self._introduction.node_id,
            name=self._introduction.name,
            agent_version=self._introduction.version,
            labels=self._introduction.labels,
            sent_at=now,
            start_id=self._introduction.start_id,
            node_key=b"" if self._introduction.key is None else self._introduction.key.public,
        )

    async def _welcome(self, welcome: node_session_pb2.Welcome) -> None:
        self._set_period(welcome.heartbeat_period)
        node = welcome.node
        log.info("connected to the master", grid=node.grid, node=node.name, node_number=node.node_number)
        skew = welcome.clock_skew.ToTimedelta().total_seconds()
        if abs(skew) > 5:
            log.warning("the clock of this node differs from the master's", seconds=round(skew, 1))
        self._on_node(node)
        await self._membership.welcome(welcome.session_token)

    async def _receive(self, call: _Call) -> None:
        while True:
            message = await call.read()
            if message is grpc.aio.EOF:
                raise StreamEnded("the master ended the session")
            match message.WhichOneof("message"):
                case "heartbeat":
                    self._set_period(message.heartbeat.heartbeat_period)
                    if message.heartbeat.session_token:
                        await self._membership.refresh(message.heartbeat.session_token)
                    self._answered.set()
                case "node":
                    self._on_node(message.node)
                case "peers" if self._network is not None:
                    self._network.update_peers(message.peers)

    async def _heartbeats(self, call: _Call, lock: asyncio.Lock) -> None:
        while True:
            await asyncio.sleep(self._period)
            self._answered.clear()
            # As long as the master waits for a sign of life: it may only be busy, and a new session is more work.
            patience = max(3.0, 3 * self._period)
            try:
                async with asyncio.timeout(patience):
                    await _write(call, lock, node_session_pb2.ConnectRequest(heartbeat=node_session_pb2.Heartbeat()))
                    await self._answered.wait()
            except TimeoutError:
                raise StreamEnded(f"no answer to a heartbeat within {patience:.0f} s") from None

    async def _reports(self, call: _Call, lock: asyncio.Lock) -> None:
        while True:
            if self._network is not None:
                self._network.news.clear()
            try:
                info = await self._machine.info()
            except AgentError as error:
                # The node stays as the master knows it; an engine that is down is no reason to leave the grid.
                log.warning("node info not sent", cause=str(error))
            else:
                if self._network is not None:
                    info.network.CopyFrom(self._network.node_network())
                await _write(call, lock, node_session_pb2.ConnectRequest(info=info))
            if self._network is not None:
                await _write(call, lock, node_session_pb2.ConnectRequest(network=await self._network.report()))
            await _write(call, lock, node_session_pb2.ConnectRequest(stats=await self._machine.sample()))
            await self._pause()

    async def _pause(self) -> None:
        """Until the next report is due."""
        seconds = _REPORT_SECONDS * random.uniform(0.95, 1.05)
        if self._network is None:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._network.news.wait()

    def _set_period(self, period: Any) -> None:
        seconds = period.ToTimedelta().total_seconds()
        self._period = seconds if seconds > 0 else _DEFAULT_PERIOD


def delay_after(reason: str, attempt: int, chance: float) -> float:
    """Seconds before the next try when the one before, the `attempt`th in a row, ended for this reason."""
    if reason == SessionReason.AGENT_SUPERSEDED:
        return superseded_delay(chance)
    return (refused_delay if reason in REFUSALS else reconnect_delay)(attempt, chance)


async def _write(call: _Call, lock: asyncio.Lock, message: node_session_pb2.ConnectRequest) -> None:
    async with lock:
        await write(call, message)
