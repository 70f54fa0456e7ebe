"""The floor (floor.py) served in other ways: `python -m tests.bench.floor_servers MESSAGE WAY...`."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2_grpc

from services.deploy_svc.settings import Settings
from services.kernel import interceptor, server
from services.kernel.authn import Authenticator
from services.kernel.requests import Requests
from tests.bench import floor

_SERVICE, _METHOD = "kontena.deploy.v1.ServiceService", "GetService"


async def _anybody(*_: object) -> None:
    """In place of authentication."""


async def _first(_: Requests, raw: AsyncIterator[bytes]) -> bytes:
    """Waits as long as it takes."""
    return await anext(raw)


class _Uncounted:
    def labels(self, *_: str) -> "_Uncounted":
        return self

    def observe(self, _: float) -> None:
        """Not at all."""


def _without_metrics() -> None:
    vars(interceptor).update(_SECONDS=_Uncounted(), _finish=lambda *_: None)


def _option(name: str, value: int) -> None:
    others = (option for option in server.OPTIONS if option[0] != name)
    vars(server)["OPTIONS"] = (*others, (name, value))


# What becomes of the floor before it starts.
CHANGES: Mapping[str, Callable[[], None]] = {
    "no authentication": lambda: setattr(Authenticator, "authenticate", _anybody),
    "no deadline": lambda: setattr(Requests, "first", _first),
    "no metrics": _without_metrics,
    "no entity tag": lambda: setattr(floor, "reply_etag", lambda _: None),
    "asyncio": lambda: setattr(server, "uvloop", asyncio),
    "shared port": lambda: _option("grpc.so_reuseport", 1),
    "no probes of bandwidth": lambda: _option("grpc.http2.bdp_probe", 0),
}


def _handlers(answer: Any, *, stream: bool = False) -> grpc.GenericRpcHandler:
    make = grpc.stream_unary_rpc_method_handler if stream else grpc.unary_unary_rpc_method_handler
    return grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: make(answer, None, None)})


async def _bare(address: str, message: bytes, *, stream: bool) -> None:
    """Nothing but grpc.aio; with `stream` the method reads its request as ours do (services/kernel/requests.py)."""

    async def one(_request: bytes, _context: Any) -> bytes:
        return message

    async def first(requests: AsyncIterator[bytes], _context: Any) -> bytes:
        await anext(requests)
        return message

    serving = grpc.aio.server(options=server.OPTIONS)
    serving.add_generic_rpc_handlers((_handlers(first if stream else one, stream=stream),))
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), serving)
    serving.add_insecure_port(address)
    await serving.start()
    await serving.wait_for_termination()


def _threads(address: str, message: bytes) -> None:
    serving = grpc.server(ThreadPoolExecutor(16), options=server.OPTIONS)
    serving.add_generic_rpc_handlers((_handlers(lambda _request, _context: message),))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), serving)
    serving.add_insecure_port(address)
    serving.start()
    serving.wait_for_termination()


def main(path: Path, *ways: str) -> None:
    """Serve until SIGTERM: `threads`, `aio`, `aio stream`, or the floor with some of CHANGES."""
    if set(ways) <= set(CHANGES):
        for way in ways:
            CHANGES[way]()
        floor.main(path)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    address, message = Settings().listen_address, path.read_bytes()  # type: ignore[call-arg]  # From the environment.
    if ways == ("threads",):
        _threads(address, message)
    else:
        uvloop.run(_bare(address, message, stream=ways == ("aio stream",)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
