"""Runs a service's application in this process behind a real gRPC server on a free loopback port."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from services.kernel.cluster_token import ClusterTokens
from services.kernel.database_errors import translate_database_error
from services.kernel.errors import NotReady
from services.kernel.identity import Identity
from services.kernel.server import Application, Server
from tests.support.eventually import eventually

CLUSTER_SECRET = "test-cluster-secret-0123456789abcdef"


@dataclass(frozen=True)
class Running:
    """A served application and a plain channel to it."""

    app: Application
    server: Server
    address: str
    channel: grpc.aio.Channel


@asynccontextmanager
async def running(
    build: Callable[[], Awaitable[Application]],
    address: str = "127.0.0.1:0",
    *,
    refuses: bool = False,
    identity: Identity | None = None,
    health_address: str = "",
) -> AsyncIterator[Running]:
    """Serve what `build` makes, as `services.kernel.server.run` does, until the block ends; with `refuses`, what is not
    ready and says that others may be. The channel is a plain one, also to a server with an `identity`."""
    app = await build()
    server = Server(app, address, identity=identity, health_address=health_address)
    try:
        async with app.supervisor:
            await server.start()

            async def ready() -> bool:
                try:
                    await app.begin()
                    await app.ready()
                except NotReady:
                    return refuses
                except Exception as error:
                    # On a machine with much to do, a database may be late with its first connections.
                    if translate_database_error(error) is None:
                        raise
                    return False
                return not refuses

            await eventually(ready, message="the service is ready")
            await server.serving(yes=not refuses)
            channel = grpc.aio.insecure_channel(server.address)
            try:
                yield Running(app, server, server.address, channel)
            finally:
                await channel.close()
                await server.stop(0)
    finally:
        # Also when a test fails: what it leaves open would be found in one that comes later.
        await app.close()


def service_metadata(caller: str = "deploy_svc") -> tuple[tuple[str, str], ...]:
    """Metadata of a call from another service."""
    return (("authorization", f"Bearer {ClusterTokens(CLUSTER_SECRET).for_service(caller)}"),)
