"""Names and node ports that a new container needs."""

from agent.domain import labels
from agent.domain.errors import NameTaken
from agent.domain.labels import InstanceKey, key_of
from agent.domain.swap import former_name, next_name
from agent.operations.own_containers import OwnContainers
from agent.site import Site
from kontena.deploy.v1 import assignment_pb2 as pb


class Room:
    """For the containers of one instance."""

    def __init__(self, key: InstanceKey, site: Site, own: OwnContainers) -> None:
        self._key = key
        self._site = site
        self._own = own

    async def make(self, assignment: pb.Assignment, *, swap: bool) -> None:
        """Returns once no container has the names that are needed, for a `swap` those of all its steps, and none on its
        way out has the node ports. Raises NameTaken when one is not ours to remove."""
        ports = frozenset(port.node_port for port in assignment.pod.ports if port.node_port)
        await self._site.removals.of_ports(ports)
        name = assignment.pod.container_name
        for needed in (name, next_name(name), former_name(name)) if swap else (name,):
            await self._free(needed)

    async def _free(self, name: str) -> None:
        holder = await self._site.runtime.containers.inspect(name)
        if holder is None or holder.name != name:
            return
        if not labels.is_ours(holder.labels, self._site.state.node_ids):
            raise NameTaken(f"the name {name} is taken by a container that is not this agent's; remove it")
        owner = key_of(holder.labels)
        if owner is None:
            await self._own.take_down(holder, volumes=False)
        elif owner != self._key:
            await self._site.removals.of_instance(owner, name)
