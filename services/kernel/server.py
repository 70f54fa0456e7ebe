"""Runs one service: gRPC server with health, reflection and metrics, background loops, graceful end on SIGTERM."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.kernel import garbage, methods, metrics
from services.kernel.answers import DEFAULT_BYTES
from services.kernel.authn import Authenticator
from services.kernel.errors import NotReady, StartRefused
from services.kernel.failed_tokens import FailedTokens
from services.kernel.identity import Identity
from services.kernel.interceptor import CallInterceptor
from services.kernel.logs import get_logger
from services.kernel.loops import Supervisor
from services.kernel.methods import DEFAULT_LIMIT
from services.kernel.settings import STREAMS_PER_USER, ServiceSettings

log = get_logger(__name__)

# How every server of the suite, and what stands in for one, treats its connections.
OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    # Clients and Envoy ping idle streams every 10 to 30 s. A server that is not told so takes that for abuse and closes
    # the connection (`too_many_pings`), with all streams on it.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.max_metadata_size", 64 * 1024),
    # Nothing compressed, bit 0 being "as it is": some KiB may become GiB before anybody can look at them.
    ("grpc.compression_enabled_algorithms_bitset", 1),
)

_QUIET_SECONDS, _LEAVE_SECONDS = 0.3, 3.0
_NOT_YET_SECONDS, _READY_AGAIN_SECONDS = 0.2, 3.0


async def _nothing() -> None:
    return


@dataclass(slots=True)
class Application:
    """What a service is made of; built by its `app.py`.

    `servicers` derive from what the protos generated. `schema` raises until the database is as new as the service,
    before which nothing of it runs; `begin` is done once at each start, before the service answers, and tried again
    until it succeeds. `ready` raises until the service can answer, and is asked again while it serves, so it changes
    nothing: NotReady ends its traffic until it is well again, other errors do not, as what all replicas depend on is no
    reason to leave. `close` frees what `app.py` opened. `leave` gives away, within a moment, what others must find on
    another replica; it is called before streams are ended.
    """

    authenticator: Authenticator
    servicers: Sequence[object]
    supervisor: Supervisor
    schema: Callable[[], Awaitable[None]]
    ready: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]
    interceptors: Sequence[Any] = field(default_factory=tuple)
    leave: Callable[[], Awaitable[None]] | None = None
    begin: Callable[[], Awaitable[None]] = _nothing


class Server:
    """The gRPC side of an application. `address` is the bound host:port after `start`. With an `identity` only parts of
    the suite get a connection; `health_address` then answers probes that have no certificate, and nothing else."""

    def __init__(
        self,
        app: Application,
        listen_address: str,
        streams_per_user: int = STREAMS_PER_USER,
        identity: Identity | None = None,
        health_address: str = "",
        *,
        failed_tokens: FailedTokens | None = None,
        large_answer_bytes: int = DEFAULT_BYTES,
    ) -> None:
        self._app = app
        secured = identity is not None
        self._calls = CallInterceptor(
            app.authenticator,
            streams_per_user,
            failed_tokens,
            mutual_tls=secured,
            large_answer_bytes=large_answer_bytes,
        )
        # Each method has a limit of its own (requests.py); what is well above all of them is not even received.
        largest = ("grpc.max_receive_message_length", app.authenticator.largest_request + DEFAULT_LIMIT)
        self._server = grpc.aio.server(interceptors=[*app.interceptors, self._calls], options=(*OPTIONS, largest))
        for servicer in app.servicers:
            methods.register(servicer, self._server)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*map(methods.service_name, app.servicers), health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        if identity is None:
            port = self._server.add_insecure_port(listen_address)
        else:
            port = self._server.add_secure_port(listen_address, identity.server_credentials())
        self.address = f"{listen_address.rpartition(':')[0]}:{port}"
        self._probes = grpc.aio.server(options=OPTIONS) if health_address else None
        if self._probes is not None:
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self._probes)
            self._probes.add_insecure_port(health_address)

    async def start(self) -> None:
        """Accept calls; health says NOT_SERVING until `serving`."""
        await self._health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        await self._server.start()
        if self._probes is not None:
            await self._probes.start()

    async def serving(self, *, yes: bool) -> None:
        """Tell health checks whether to send traffic here."""
        state = health_pb2.HealthCheckResponse.SERVING if yes else health_pb2.HealthCheckResponse.NOT_SERVING
        await self._health.set("", state)

    async def leave(self) -> None:
        """Tell callers to go elsewhere, and return when they have: a call that meets the end of a server may be lost.
        When nobody calls that takes no time, and otherwise until the gateway must have asked for health."""
        await self.serving(yes=False)
        await self._calls.quiet(_QUIET_SECONDS, _LEAVE_SECONDS)
        if self._app.leave is not None:
            await self._app.leave()

    async def stop(self, grace: float) -> None:
        """Refuse new calls, end streams at once, let other calls end within `grace` seconds, then cancel them."""
        await self.serving(yes=False)
        stopping = asyncio.create_task(self._server.stop(grace))
        # Only now, so that whoever loses a stream cannot come back to this server.
        await asyncio.sleep(0)
        self._calls.end_streams()
        await stopping
        if self._probes is not None:
            await self._probes.stop(0)


def run(settings: ServiceSettings, build: Callable[[], Awaitable[Application]]) -> None:
    """Run a service until SIGTERM or SIGINT."""
    uvloop.run(_run(settings, build))


async def _run(settings: ServiceSettings, build: Callable[[], Awaitable[Application]]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if settings.metrics_address:
        metrics.serve(settings.metrics_address, settings.metrics_token)
    app = await build()
    identity = settings.identity()
    server = Server(
        app,
        settings.listen_address,
        settings.streams_per_user,
        identity,
        settings.health_address,
        failed_tokens=FailedTokens(settings.failed_tokens_per_minute, settings.failed_tokens_exempt),
        large_answer_bytes=settings.large_answer_bytes,
    )
    try:
        await server.start()
        # Nothing of this process touches a schema before it is known to fit.
        if await _before(stop, schema_fits(app)):
            garbage.settle()
            async with app.supervisor:
                readiness = asyncio.create_task(follow_readiness(app, server))
                await stop.wait()
                readiness.cancel()
                await asyncio.wait([readiness])
                await server.leave()
                await server.stop(settings.drain_seconds)
    except StartRefused as refusal:
        log.critical("does not start", error=str(refusal))
        sys.exit(1)
    finally:
        await server.stop(0)
        await app.close()
    log.info("stopped")


async def _before(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Whether `work` ended before `stop` was set; then it is cancelled. Raises what it raises."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        return working.done() and working.result() is None
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.wait((working, stopping))


async def schema_fits(app: Application) -> None:
    """Return when the schema is as new as this process. Raises StartRefused when it is too new."""
    await _done(app.schema)


async def _done(step: Callable[[], Awaitable[None]]) -> None:
    """Try until it succeeds. The reason why not is logged when it changes."""
    told = ""
    while True:
        try:
            return await step()
        except StartRefused:
            raise
        except NotReady as error:
            why_not = error.message
        except Exception as error:
            why_not = repr(error)[:300]
        if why_not != told:
            log.warning("not ready", error=why_not)
        told = why_not
        await asyncio.sleep(_NOT_YET_SECONDS)


async def follow_readiness(app: Application, server: Server) -> None:
    """Serve once the application is ready, and not while only others can answer; until it is cancelled. The reason why
    not is logged when it changes."""
    await _done(app.begin)
    serves, told = False, ""
    while True:
        why_not = await _why_not(app, serves=serves)
        if why_not and why_not != told:
            log.warning("not ready", error=why_not)
        told = why_not
        if serves == bool(why_not):
            serves = not why_not
            await server.serving(yes=serves)
            if serves:
                log.info("serving", address=server.address)
        await asyncio.sleep(_READY_AGAIN_SECONDS if serves else _NOT_YET_SECONDS)


async def _why_not(app: Application, *, serves: bool) -> str:
    try:
        await app.ready()
    except NotReady as error:
        return error.message
    except Exception as error:
        return "" if serves else repr(error)[:300]
    return ""
