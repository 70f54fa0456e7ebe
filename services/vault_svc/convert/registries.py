"""External registries on the wire."""

from kontena.vault.v1 import external_registry_pb2 as pb
from services.clients.grids import Grid
from services.vault_svc.domain.registry import Registry


def registry_to_proto(grid: Grid, found: Registry) -> pb.ExternalRegistry:
    return pb.ExternalRegistry(
        id=f"{grid.name}/{found.name}", name=found.name, url=found.url, username=found.username, email=found.email
    )
