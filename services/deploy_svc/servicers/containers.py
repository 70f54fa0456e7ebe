"""ContainerService: decode, call, encode."""

from collections.abc import AsyncIterator

from google.api.httpbody_pb2 import HttpBody

from kontena.deploy.v1 import container_pb2 as pb
from kontena.deploy.v1.container_pb2_grpc import ContainerServiceServicer
from services.deploy_svc.convert.containers import container_to_proto
from services.deploy_svc.convert.exec_output import outcome_to_json
from services.deploy_svc.convert.json_streams import JSON, body
from services.deploy_svc.domain.log_query import switch
from services.deploy_svc.usecases.container_commands import ContainerCommands
from services.deploy_svc.usecases.containers import Containers
from services.kernel import pages
from services.kernel.call import principal
from services.kernel.methods import Context


class ContainerServicer(ContainerServiceServicer):
    def __init__(self, containers: Containers, commands: ContainerCommands) -> None:
        self._containers = containers
        self._commands = commands

    async def ListContainers(self, request: pb.ListContainersRequest, context: Context) -> pb.ListContainersResponse:
        found = await self._containers.of_grid(
            principal(), request.grid, pages.page(request), everything=switch(request.all)
        )
        return pb.ListContainersResponse(containers=map(container_to_proto, found), next=found.next)

    async def ListServiceContainers(
        self, request: pb.ListServiceContainersRequest, context: Context
    ) -> pb.ListServiceContainersResponse:
        found = await self._containers.of_service(principal(), request.id, pages.page(request))
        return pb.ListServiceContainersResponse(containers=map(container_to_proto, found), next=found.next)

    async def GetContainer(self, request: pb.GetContainerRequest, context: Context) -> pb.Container:
        return container_to_proto(await self._containers.get(principal(), request.id))

    async def InspectContainer(self, request: pb.InspectContainerRequest, context: Context) -> HttpBody:
        found = await self._commands.inspect(principal(), request.id)
        return HttpBody(content_type=JSON, data=found.encode())

    async def TopContainer(self, request: pb.TopContainerRequest, context: Context) -> HttpBody:
        found = await self._commands.top(principal(), request.id)
        return HttpBody(content_type=JSON, data=found.encode())

    async def ExecContainer(self, request: pb.ExecContainerRequest, context: Context) -> AsyncIterator[HttpBody]:
        outcome = await self._commands.exec(principal(), request.id, request.cmd)
        yield body(outcome_to_json(outcome))
