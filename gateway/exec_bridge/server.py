"""The process: WebSocket server, answers before the upgrade, metrics, graceful end on SIGTERM."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any, cast

import uvloop
from prometheus_client import Counter, Gauge
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from gateway.exec_bridge import frames, session
from gateway.exec_bridge.settings import ExecBridgeSettings
from gateway.exec_bridge.target import HEALTH, Target, parse
from gateway.exec_bridge.upstream import Refused, Upstream, unavailable
from services.kernel import garbage, metrics
from services.kernel.addresses import split
from services.kernel.callers import CALLERS
from services.kernel.identity import names_of
from services.kernel.logs import configure, get_logger

log = get_logger(__name__)

# What deploy_svc needs to know of the request, with the user agent: who asks, from where, and how to find it in the
# logs. The gateway sets the last two.
_PASSED_ON = ("authorization", "x-request-id", "x-forwarded-for")
_STOP_SECONDS = 3.0
_SESSIONS = Gauge("exec_bridge_sessions", "Sessions under way.")
_ENDED = Counter("exec_bridge_sessions_ended", "Sessions by how they ended.", ["how"])


class ExecConnection(ServerConnection):
    """A client with the gRPC stream of its session, which ends with the connection whatever state it is in."""

    call: Any = None
    target: Target
    request_id: str = ""

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.call is not None:
            self.call.cancel()


class ExecBridge:
    """Answers requests and runs the sessions of those it upgrades."""

    def __init__(self, settings: ExecBridgeSettings, upstream: Upstream) -> None:
        self._settings = settings
        self._upstream = upstream
        self._sessions = 0

    async def answer(self, connection: ServerConnection, request: Request, handshake: Response) -> Response | None:
        """Called with the answer the handshake would give; None lets it be an upgrade. Errors have the shape of the API
        (docs/errors.md)."""
        if request.path == HEALTH:
            return healthy()
        if not self._is_known(connection):
            return respond(403, json.dumps({"error": "Access denied"}))
        target = parse(request.path)
        if target is None:
            return respond(404, json.dumps({"error": "Not found"}))
        if handshake.status_code == HTTPStatus.UPGRADE_REQUIRED:
            text = "This is a WebSocket: send the headers of an upgrade, or POST for a command without input"
            return respond(HTTPStatus.UPGRADE_REQUIRED, json.dumps({"error": text}), {"upgrade": "websocket"})
        if handshake.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            return respond(handshake.status_code, json.dumps({"error": "Not a valid WebSocket handshake"}))
        if self._sessions >= self._settings.exec_session_limit:
            full = unavailable("Too many exec sessions. Try again in a moment.")
            return respond(full.status, full.body, full.headers)
        opened = cast(ExecConnection, connection)
        opened.target = target
        opened.request_id = passed_on(request.headers).get("x-request-id", "")
        opened.call = self._upstream.call(passed_on(request.headers))
        try:
            await self._upstream.start(opened.call, target)
        except Refused as refused:
            opened.call.cancel()
            return respond(refused.status, refused.body, refused.headers)
        return None

    def _is_known(self, connection: ServerConnection) -> bool:
        """Whether the other end may call the bridge. It has no name in plain text, where the network decides."""
        if not self._settings.mtls_folder:
            return True
        names = names_of(connection.transport.get_extra_info("peercert"))
        return not names.isdisjoint(CALLERS["exec-bridge"])

    async def run(self, connection: ServerConnection) -> None:
        """One session, after its upgrade."""
        opened = cast(ExecConnection, connection)
        self._sessions += 1
        how = "error"
        try:
            with _SESSIONS.track_inprogress():
                seconds = self._settings.exec_first_frame_seconds
                how = await session.run(opened, opened.call, opened.target, seconds)
        finally:
            self._sessions -= 1
            _ENDED.labels(how).inc()
            log.info("session ended", container=opened.target.container, how=how, request_id=opened.request_id)


def passed_on(headers: Headers) -> dict[str, str]:
    """The headers for deploy_svc; one that gRPC cannot carry is as good as absent."""
    found = {name: next(iter(headers.get_all(name)), "") for name in (*_PASSED_ON, "user-agent")}
    # gRPC would replace it by its own; a client without one has none.
    agent = found.pop("user-agent")
    passed = {name: value for name, value in found.items() if value and _fits(value)}
    return {**passed, "x-user-agent": agent if _fits(agent) else ""}


def _fits(value: str) -> bool:
    return value.isascii() and value.isprintable()


def respond(status: int, body: str, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer that ends the connection."""
    content = body.encode()
    length = {"content-type": "application/json", "content-length": str(len(content)), "connection": "close"}
    return Response(status, HTTPStatus(status).phrase, Headers({**length, **(headers or {})}), content)


def healthy() -> Response:
    """The answer to a health check."""
    return respond(200, json.dumps({"status": "ok"}))


async def _probed(_connection: ServerConnection, request: Request) -> Response:
    return healthy() if request.path == HEALTH else respond(404, json.dumps({"error": "Not found"}))


async def _nothing(_connection: ServerConnection) -> None:
    return None


@asynccontextmanager
async def _probes(address: str) -> AsyncIterator[None]:
    """Answers probes that have no certificate, while the block runs; with no address nothing."""
    if not address:
        yield
        return
    host, port = split(address)
    async with serve(_nothing, host, port, process_request=_probed, compression=None, server_header=None):
        yield


@asynccontextmanager
async def serving(settings: ExecBridgeSettings) -> AsyncIterator[Server]:
    """The running bridge; when the block ends, sessions under way are told so and closed with 1001."""
    identity = settings.identity()
    upstream = Upstream(settings.deploy_address, settings.exec_open_seconds, settings.callee("deploy-svc"))
    bridge = ExecBridge(settings, upstream)
    host, port = split(settings.listen_address)
    server = serve(
        bridge.run,
        host,
        port,
        process_response=bridge.answer,
        create_connection=ExecConnection,
        # Must outlast `exec_open_seconds`, within which a refusal is worded.
        open_timeout=settings.exec_open_seconds + 5,
        ping_interval=settings.exec_ping_seconds,
        ping_timeout=settings.exec_ping_seconds,
        close_timeout=2,
        max_size=settings.exec_frame_limit_bytes,
        compression=None,
        server_header=None,
        ssl=identity.server_context() if identity else None,
    )
    try:
        served = await server
        try:
            yield served
            await asyncio.gather(*(_farewell(connection) for connection in served.connections))
        finally:
            served.close()
            # Not for ever: a connection on which nothing was asked yet would be waited for.
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_SECONDS):
                    await served.wait_closed()
    finally:
        await upstream.close()


async def _farewell(connection: ServerConnection) -> None:
    with suppress(ConnectionClosed, TimeoutError):
        async with asyncio.timeout(1):
            await connection.send(frames.error("The server of this session is about to stop"))


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = ExecBridgeSettings()
    configure("exec_bridge", settings.log_level)
    if settings.metrics_address:
        metrics.serve(settings.metrics_address, settings.metrics_token)
    uvloop.run(_run(settings))


async def _run(settings: ExecBridgeSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    garbage.settle()
    async with serving(settings), _probes(settings.health_address):
        log.info("serving", address=settings.listen_address)
        await stop.wait()
    log.info("stopped")
