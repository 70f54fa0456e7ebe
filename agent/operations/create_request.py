"""What the engine is asked for: the body of the request that makes a container, and what has to be there before."""

from typing import Any

from agent.domain import labels
from agent.domain.data import DataMount
from agent.domain.errors import SecretsNeeded
from agent.runtime import config
from agent.runtime.config import GridNetwork
from agent.site import Site
from kontena.deploy.v1 import assignment_pb2 as pb


def require_secrets(assignment: pb.Assignment, *, sealed: bool) -> None:
    """Raises SecretsNeeded when the values of secrets are needed and not known."""
    if sealed and (assignment.secrets or assignment.files):
        raise SecretsNeeded("the values of secrets are known to the master only")


async def ensure_network(site: Site, assignment: pb.Assignment) -> GridNetwork | None:
    """The network of the grid that the container joins, which is there; None when it joins another one."""
    if not config.on_grid_network(assignment.pod):
        return None
    network = await site.grid_network()
    if not network.resolver:
        await site.runtime.networks.ensure(network.name, {labels.GRID_NAME: site.identity().grid})
    return network


async def ensure_volumes(site: Site, assignment: pb.Assignment) -> None:
    """Returns once the volumes of the grid that the container mounts are there."""
    for volume in config.named_volumes(assignment, site.identity()):
        await site.runtime.volumes.ensure(volume)


async def body(
    site: Site, assignment: pb.Assignment, mounts: list[DataMount], token: str, network: GridNetwork | None
) -> dict[str, Any]:
    """The request. `token` names the folder with the files of the container; `ensure_network` told the `network`."""
    node = site.identity()
    folder = config.FilesFolder(str(site.files.folder(node.node_id, token)), token) if token else None
    volumes_from = [await _resolve(site, entry, assignment) for entry in assignment.pod.volumes_from]
    lender = config.lender_of(assignment.pod)
    if lender:
        lender = await _resolve(site, lender, assignment)
    return config.container_config(
        assignment,
        node,
        volumes_from=volumes_from,
        lender=lender,
        data=mounts,
        network=network or await site.grid_network(),
        files=folder,
    )


async def _resolve(site: Site, entry: str, assignment: pb.Assignment) -> str:
    name, colon, mode = entry.partition(":")
    candidates = config.container_candidates(name, assignment)
    for candidate in candidates:
        if await site.runtime.containers.inspect(candidate) is not None:
            return f"{candidate}{colon}{mode}"
    return f"{candidates[0]}{colon}{mode}"
