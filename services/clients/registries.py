"""Reads credentials of image registries from vault_svc. They stay in memory and never show in a repr."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kontena.vault.v1 import registry_delivery_pb2 as pb
from kontena.vault.v1.registry_delivery_pb2_grpc import RegistryDeliveryServiceStub
from services.kernel.client import ServiceChannel, ask

DOCKER_HUB = "index.docker.io"
_HUB_NAMES = ("docker.io", "registry-1.docker.io", DOCKER_HUB)


@dataclass(frozen=True, slots=True)
class RegistryCredentials:
    """What logs in to a registry; the password is read only to put it into a message."""

    username: str
    email: str
    url: str
    password: str = field(repr=False)


def registry_of(image: str) -> str:
    """The name of the registry that an image comes from (docs/spec/vault.md section 3.3)."""
    host, slash, _ = image.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        return DOCKER_HUB
    return DOCKER_HUB if host.lower() in _HUB_NAMES else host.lower()


class RegistryResolver:
    """Resolves the credentials of registries of a grid by name, in one call."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._stub = channel.stub(RegistryDeliveryServiceStub)

    async def resolve(self, grid_id: str, names: Iterable[str]) -> Mapping[str, RegistryCredentials]:
        """Credentials by name of the registries that exist. Raises Unavailable."""
        wanted = sorted(set(names))
        if not wanted:
            return {}
        request = pb.ResolveRegistryCredentialsRequest(grid_id=grid_id, names=wanted)
        response = await ask("vault_svc", self._stub.ResolveRegistryCredentials, request)
        return {
            name: RegistryCredentials(found.username, found.email, found.url, found.password)
            for name, found in response.credentials.items()
        }
