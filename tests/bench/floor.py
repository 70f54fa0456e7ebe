"""The floor: the same route through the same gateway and the same interceptors, answered with a message that is ready.

`python -m tests.bench.floor MESSAGE` serves it as deploy_svc would be served, with the settings of deploy_svc in the
environment; MESSAGE is a file with the encoded answer.
"""

import sys
from pathlib import Path
from typing import Any

from kontena.deploy.v1 import service_pb2 as pb
from kontena.deploy.v1 import service_pb2_grpc
from services.clients.introspection import Introspection
from services.deploy_svc.settings import Settings
from services.kernel import logs, server
from services.kernel.authn import Authenticator
from services.kernel.call import reply_etag
from services.kernel.client import ServiceChannel
from services.kernel.loops import Supervisor
from services.kernel.server import Application


class Canned(service_pb2_grpc.ServiceServiceServicer):
    """Answers GetService with the same message always."""

    def __init__(self, message: pb.Service) -> None:
        self._message = message

    async def GetService(self, request: pb.GetServiceRequest, context: Any) -> pb.Service:
        reply_etag("floor")
        return self._message


def main(message: Path) -> None:
    """Serve until SIGTERM."""
    settings = Settings()  # type: ignore[call-arg]  # The values come from the environment.
    logs.configure("floor", settings.log_level)
    # What it does not have answers UNIMPLEMENTED.
    servicers = [Canned(pb.Service.FromString(message.read_bytes()))]  # type: ignore[abstract]

    async def build() -> Application:
        tokens = settings.cluster_tokens()
        channel = ServiceChannel(settings.auth_address, tokens=tokens, caller="deploy_svc")
        introspection = Introspection(channel)
        supervisor = Supervisor()
        supervisor.add("introspection", introspection.watch)

        async def fine() -> None:
            return None

        return Application(
            authenticator=Authenticator(tokens, introspection.resolve, servicers, introspection.on_change),
            servicers=servicers,
            supervisor=supervisor,
            schema=fine,
            ready=fine,
            close=channel.close,
        )

    server.run(settings, build)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
