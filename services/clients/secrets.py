"""Reads secret values from vault_svc for the assignments of nodes. Values stay in memory and never show in a repr."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from kontena.vault.v1 import secret_delivery_pb2 as pb
from kontena.vault.v1.secret_delivery_pb2_grpc import SecretDeliveryServiceStub
from services.kernel.client import ServiceChannel
from services.kernel.errors import Unavailable

if TYPE_CHECKING:  # The generated module has this class in its stub file only.
    from kontena.vault.v1.secret_delivery_pb2_grpc import SecretDeliveryServiceAsyncStub

IDEMPOTENT = ("/kontena.vault.v1.SecretDeliveryService/ResolveSecrets",)

_DEADLINE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class SecretValue:
    """A value that must not be written anywhere: `reveal` is called only to put it into a message."""

    _value: str

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return "SecretValue(redacted)"


class SecretResolver:
    """Resolves the secrets of a grid by name, in one call."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._stub: SecretDeliveryServiceAsyncStub = channel.stub(SecretDeliveryServiceStub)

    async def resolve(self, grid_id: str, names: Iterable[str]) -> Mapping[str, SecretValue]:
        """The values of the secrets that exist, by name; a missing name does not exist. Raises Unavailable."""
        wanted = sorted(set(names))
        if not wanted:
            return {}
        request = pb.ResolveSecretsRequest(grid_id=grid_id, names=wanted)
        try:
            response = await self._stub.ResolveSecrets(request, timeout=_DEADLINE_SECONDS)
        except grpc.aio.AioRpcError as error:
            # Only the code is told: details of a failed call could quote what they were about.
            raise Unavailable(f"vault_svc does not answer ({error.code().name})") from None
        return {name: SecretValue(value) for name, value in response.values.items()}
