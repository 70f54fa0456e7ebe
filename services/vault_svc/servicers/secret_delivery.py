"""SecretDeliveryService, for other services of the suite."""

from kontena.vault.v1 import secret_delivery_pb2 as pb
from kontena.vault.v1.secret_delivery_pb2_grpc import SecretDeliveryServiceServicer
from services.kernel.methods import Context
from services.vault_svc.usecases.secret_delivery import SecretDelivery


class SecretDeliveryServicer(SecretDeliveryServiceServicer):
    """Values leave only on this and the single-secret answers of SecretService."""

    def __init__(self, delivery: SecretDelivery) -> None:
        self._delivery = delivery

    async def ListSecretNames(self, request: pb.ListSecretNamesRequest, context: Context) -> pb.ListSecretNamesResponse:
        return pb.ListSecretNamesResponse(names=await self._delivery.existing(request.grid_id, request.names))

    async def ResolveSecrets(self, request: pb.ResolveSecretsRequest, context: Context) -> pb.ResolveSecretsResponse:
        found = await self._delivery.resolve(request.grid_id, request.names)
        return pb.ResolveSecretsResponse(
            values={name: value.reveal() for name, value in found.items() if value is not None},
            unreadable=sorted(name for name, value in found.items() if value is None),
        )
