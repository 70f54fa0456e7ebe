"""Replicas of a service that say their names, and channels to them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from kontena.auth.v1 import introspection_pb2
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from tests.support.running import CLUSTER_SECRET

THING = introspection_pb2.DESCRIPTOR.services_by_name["IntrospectionService"].full_name
WHO, FOLLOW = f"/{THING}/IntrospectToken", f"/{THING}/WatchInvalidations"


@asynccontextmanager
async def replica(name: str, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    """A server that says its name, once or for ever; yields its port."""

    async def who(_request: bytes, _context: Any) -> bytes:
        return name.encode()

    async def follow(_request: bytes, _context: Any) -> AsyncIterator[bytes]:
        while True:
            yield name.encode()
            await asyncio.sleep(0.01)

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handlers: dict[str, Any] = {
        "IntrospectToken": grpc.unary_unary_rpc_method_handler(who),
        "WatchInvalidations": grpc.unary_stream_rpc_method_handler(follow),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(THING, handlers),))
    found = server.add_insecure_port(f"{host}:{port}")
    await server.start()
    yield found
    await server.stop(0)


@asynccontextmanager
async def channel(listed: str) -> AsyncIterator[ServiceChannel]:
    opened = ServiceChannel(listed, ClusterTokens(CLUSTER_SECRET), "deploy_svc")
    yield opened
    await opened.close()
