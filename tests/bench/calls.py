"""Load by a gRPC client in this process, for what wrk cannot reach: it speaks no HTTP/2."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import grpc

from tests.bench.stand import RPC
from tests.bench.wrk import Load, Request

# Length and bytes of GetServiceRequest(id="bench/null/one").
_FRAME, _MESSAGE = "\0\0\0\0\x10", "\x0a\x0ebench/null/one"


def call_of(url: str, token: str) -> Request:
    """GetService as a gRPC call, which wrk sends over HTTP/1.1."""
    return Request(f"{url}{RPC}", token, "POST", _FRAME + _MESSAGE, "application/grpc")


def load(request: Request, connections: int, seconds: float) -> Load:
    """As that of wrk.py; what is no success raises AioRpcError."""
    return asyncio.run(_load(request, connections, seconds))


async def _load(request: Request, connections: int, seconds: float) -> Load:
    took: list[float] = []
    begun = time.perf_counter()

    async def call() -> None:
        options = (("grpc.use_local_subchannel_pool", 1),)
        async with grpc.aio.insecure_channel(urlsplit(request.url).netloc, options=options) as channel:
            method: Callable[..., Awaitable[bytes]] = channel.unary_unary(RPC)
            while (at := time.perf_counter()) < begun + seconds:
                metadata = (("authorization", f"Bearer {request.token}"),)
                await method(_MESSAGE.encode(), metadata=metadata, timeout=30)
                took.append(1000 * (time.perf_counter() - at))

    await asyncio.gather(*(call() for _ in range(connections)))
    p99 = statistics.quantiles(took, n=100)[-1] if len(took) > 1 else took[0]
    return Load(len(took), time.perf_counter() - begun, statistics.median(took), p99)
