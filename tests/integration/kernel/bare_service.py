"""A process with a server as the services have it, and nothing behind it: prints its address and serves.

`python -m tests.integration.kernel.bare_service`. The only access token is `good`.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

from kontena.deploy.v1 import service_pb2, service_pb2_grpc
from kontena.grid.v1 import node_session_pb2, node_session_pb2_grpc
from services.kernel.authn import Authenticator
from services.kernel.cluster_token import ClusterTokens
from services.kernel.errors import Unauthenticated
from services.kernel.loops import Supervisor
from services.kernel.principal import Principal
from services.kernel.server import Application, Server
from tests.support.running import CLUSTER_SECRET


class Services(service_pb2_grpc.ServiceServiceServicer):
    """Makes any service."""

    async def CreateService(self, request: Any, context: Any) -> service_pb2.Service:
        return service_pb2.Service(image=request.service.image)


class Sessions(node_session_pb2_grpc.NodeSessionServiceServicer):
    """Reads what agents say, and tells how much it was."""

    async def Connect(self, request_iterator: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for request in request_iterator:
            yield node_session_pb2.ConnectResponse(
                node=node_session_pb2.NodeDescription(node_number=len(request.hello.labels))
            )


async def _introspect(token: str) -> Principal:
    if token != "good":
        raise Unauthenticated
    return Principal("user", user_id="u", expires_at=None)


async def _nothing() -> None:
    return None


def application(*servicers: object) -> Application:
    """Nothing but these."""
    return Application(
        authenticator=Authenticator(ClusterTokens(CLUSTER_SECRET), _introspect, servicers, lambda _: None),
        servicers=servicers,
        supervisor=Supervisor(),
        schema=_nothing,
        ready=_nothing,
        close=_nothing,
    )


async def main() -> None:
    app = application(Services(), Sessions())  # type: ignore[abstract]
    server = Server(app, "127.0.0.1:0")
    await server.start()
    await server.serving(yes=True)
    sys.stdout.write(f"{server.address}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
