"""SecretUsageService: decode, call, encode."""

from collections.abc import AsyncIterator, Mapping

from google.protobuf.empty_pb2 import Empty

from kontena.deploy.v1 import secret_usage_pb2 as pb
from kontena.deploy.v1.secret_usage_pb2_grpc import SecretUsageServiceServicer
from services.deploy_svc.domain.watch import VaultUser
from services.deploy_svc.usecases.secret_usage import SecretUsage
from services.kernel.ids import is_id
from services.kernel.methods import Context
from services.kernel.watch import messages


class SecretUsageServicer(SecretUsageServiceServicer):
    def __init__(self, usage: SecretUsage) -> None:
        self._usage = usage

    async def WatchVaultUsers(
        self, request: pb.WatchVaultUsersRequest, context: Context
    ) -> AsyncIterator[pb.VaultUserEvent]:
        async for event in messages(pb.VaultUserEvent, self._usage.follow(), _record):
            yield event

    async def ListSecretUsers(self, request: pb.ListSecretUsersRequest, context: Context) -> pb.ListSecretUsersResponse:
        names = set(request.names)
        found = await self._usage.users(request.grid_id, "secrets", names)
        reach = await self._usage.reach(request.grid_id, "secrets", names)
        return pb.ListSecretUsersResponse(users=_users(found, reach))

    async def SecretChanged(self, request: pb.SecretChangedRequest, context: Context) -> Empty:
        await self._usage.changed(request.grid_id, "secrets", request.name, request.event_id)
        return Empty()

    async def ListCertificateUsers(
        self, request: pb.ListCertificateUsersRequest, context: Context
    ) -> pb.ListCertificateUsersResponse:
        found = await self._usage.users(request.grid_id, "certificates", set(request.subjects))
        return pb.ListCertificateUsersResponse(users=_users(found, {}))

    async def CertificateChanged(self, request: pb.CertificateChangedRequest, context: Context) -> Empty:
        await self._usage.changed(request.grid_id, "certificates", request.subject, request.event_id)
        return Empty()

    async def GetLinkedService(
        self, request: pb.GetLinkedServiceRequest, context: Context
    ) -> pb.GetLinkedServiceResponse:
        service = await self._usage.linked_service(request.grid_id, request.stack, request.name)
        if service is None:
            return pb.GetLinkedServiceResponse()
        ports = [port.node_port for port in service.spec.ports if port.protocol == "tcp"]
        return pb.GetLinkedServiceResponse(found=True, host_network=service.spec.net == "host", node_ports=ports)

    async def DeployLinkedService(
        self, request: pb.DeployLinkedServiceRequest, context: Context
    ) -> pb.DeployLinkedServiceResponse:
        deploy = await self._usage.deploy_linked(request.grid_id, request.stack, request.name, request.event_id)
        return pb.DeployLinkedServiceResponse(deploy_id=deploy or "")

    async def ListLinkedDeploys(
        self, request: pb.ListLinkedDeploysRequest, context: Context
    ) -> pb.ListLinkedDeploysResponse:
        wanted = {deploy for deploy in request.deploy_ids if is_id(deploy)}
        return pb.ListLinkedDeploysResponse(states=await self._usage.deploy_states(request.grid_id, wanted))


def _users(found: Mapping[str, list[tuple[str, str]]], reach: Mapping[str, str]) -> dict[str, pb.UsingServices]:
    return {
        used: pb.UsingServices(
            services=[pb.UsingService(id=path, name=name, host_level=reach.get(path, "")) for path, name in services]
        )
        for used, services in found.items()
    }


def _record(user: VaultUser) -> pb.VaultUser:
    service = pb.UsingService(id=user.path, name=user.name)
    return pb.VaultUser(id=user.id, grid_id=user.grid_id, service=service, secrets=user.secrets)
