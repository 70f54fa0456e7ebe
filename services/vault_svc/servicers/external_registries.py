"""ExternalRegistryService (docs/spec/vault.md section 3)."""

from google.protobuf.empty_pb2 import Empty

from kontena.vault.v1 import external_registry_pb2 as pb
from kontena.vault.v1.external_registry_pb2_grpc import ExternalRegistryServiceServicer
from services.kernel import call, pages
from services.kernel.members import given
from services.kernel.methods import Context
from services.vault_svc.convert import registries as convert
from services.vault_svc.convert.secrets import plaintext_from_proto
from services.vault_svc.usecases.external_registries import ExternalRegistries


class ExternalRegistryServicer(ExternalRegistryServiceServicer):
    def __init__(self, registries: ExternalRegistries) -> None:
        self._registries = registries

    async def ListExternalRegistries(
        self, request: pb.ListExternalRegistriesRequest, context: Context
    ) -> pb.ListExternalRegistriesResponse:
        grid, found = await self._registries.of_grid(call.principal(), request.grid, pages.page(request))
        return pb.ListExternalRegistriesResponse(
            external_registries=[convert.registry_to_proto(grid, one) for one in found], next=found.next
        )

    async def CreateExternalRegistry(
        self, request: pb.CreateExternalRegistryRequest, context: Context
    ) -> pb.ExternalRegistry:
        grid, registry = await self._registries.create(
            call.principal(),
            request.grid,
            **given(request, "url", "username", "email"),
            password=plaintext_from_proto(request.password, present=request.HasField("password")),
        )
        call.reply_created()
        return convert.registry_to_proto(grid, registry)

    async def GetExternalRegistry(
        self, request: pb.GetExternalRegistryRequest, context: Context
    ) -> pb.ExternalRegistry:
        return convert.registry_to_proto(*await self._registries.show(call.principal(), request.id))

    async def DeleteExternalRegistry(self, request: pb.DeleteExternalRegistryRequest, context: Context) -> Empty:
        await self._registries.delete(call.principal(), request.id)
        return Empty()

    async def DeleteGridExternalRegistry(
        self, request: pb.DeleteGridExternalRegistryRequest, context: Context
    ) -> Empty:
        name = request.name or request.named.name or None
        await self._registries.delete_in_grid(call.principal(), request.grid, name)
        return Empty()
