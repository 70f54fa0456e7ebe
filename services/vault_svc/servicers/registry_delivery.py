"""RegistryDeliveryService, for other services of the suite."""

from kontena.vault.v1 import registry_delivery_pb2 as pb
from kontena.vault.v1.registry_delivery_pb2_grpc import RegistryDeliveryServiceServicer
from services.kernel.methods import Context
from services.vault_svc.usecases.external_registries import RegistryDelivery


class RegistryDeliveryServicer(RegistryDeliveryServiceServicer):
    """Passwords leave only here."""

    def __init__(self, delivery: RegistryDelivery) -> None:
        self._delivery = delivery

    async def ResolveRegistryCredentials(
        self, request: pb.ResolveRegistryCredentialsRequest, context: Context
    ) -> pb.ResolveRegistryCredentialsResponse:
        found = await self._delivery.resolve(request.grid_id, request.names)
        credentials = {
            name: pb.RegistryCredentials(
                username=one.username, password=one.password.reveal(), email=one.email or "", url=one.url
            )
            for name, one in found.items()
        }
        return pb.ResolveRegistryCredentialsResponse(credentials=credentials)
