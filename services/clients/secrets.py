"""Reads secret values from vault_svc for the assignments of nodes. Values stay in memory and never show in a repr."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kontena.vault.v1 import secret_delivery_pb2 as pb
from kontena.vault.v1.secret_delivery_pb2_grpc import SecretDeliveryServiceStub
from services.kernel.client import ServiceChannel, ask


@dataclass(frozen=True, slots=True)
class SecretValue:
    """A value that must not be written anywhere: `reveal` is called only to put it into a message. None is one that
    exists and that vault_svc cannot open."""

    _value: str | None

    @property
    def readable(self) -> bool:
        """Whether there is anything to reveal."""
        return self._value is not None

    def reveal(self) -> str:
        """The value itself. Raises ValueError when it is not readable."""
        if self._value is None:
            raise ValueError("the value does not open")
        return self._value

    def __repr__(self) -> str:
        return "SecretValue(redacted)"


# In one answer: of the longest values there may be by default, so many are well below what a client takes (16 MiB).
_MOST_NAMES = 100


class SecretResolver:
    """Resolves the secrets of a grid by name, a hundred in a call."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._stub = channel.stub(SecretDeliveryServiceStub)

    async def resolve(self, grid_id: str, names: Iterable[str]) -> Mapping[str, SecretValue]:
        """The values of the secrets that exist, by name, readable or not; a missing name does not exist. Raises
        Unavailable."""
        wanted, found = sorted(set(names)), dict[str, SecretValue]()
        for start in range(0, len(wanted), _MOST_NAMES):
            request = pb.ResolveSecretsRequest(grid_id=grid_id, names=wanted[start : start + _MOST_NAMES])
            response = await ask("vault_svc", self._stub.ResolveSecrets, request)
            found |= {name: SecretValue(None) for name in response.unreadable}
            found |= {name: SecretValue(value) for name, value in response.values.items()}
        return found

    async def existing(self, grid_id: str, names: Iterable[str]) -> frozenset[str]:
        """Those of the names that exist; no value leaves vault_svc. Raises Unavailable."""
        wanted = sorted(set(names))
        if not wanted:
            return frozenset()
        request = pb.ListSecretNamesRequest(grid_id=grid_id, names=wanted)
        try:
            return frozenset((await ask("vault_svc", self._stub.ListSecretNames, request)).names)
        except NotImplementedError:
            return frozenset(await self.resolve(grid_id, wanted))
