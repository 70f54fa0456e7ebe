"""Brings a container back to what was assigned, where somebody has changed it by hand."""

from collections.abc import Mapping

from agent.domain import drift
from agent.domain.drift import Drift, Repair, Seen
from agent.domain.errors import EngineRefused
from agent.domain.labels import InstanceKey
from agent.runtime import config
from agent.runtime.ports import Container, Listed
from agent.site import Site
from kontena.deploy.v1 import assignment_pb2 as pb
from services.kernel.logs import get_logger

log = get_logger(__name__)

_KIND = "service:instance_drift"


class Repairs:
    """What is repaired is told as an event, once; what is not, is returned in words for the state of the instance."""

    def __init__(self, key: InstanceKey, site: Site) -> None:
        self._key = key
        self._site = site

    def needed(self, assignment: pb.Assignment, listed: Listed) -> bool:
        """Whether a list of containers shows that one was changed."""
        return drift.shows_in_list(self._wanted(assignment, listed.labels), listed.name, listed.networks)

    async def carry_out(self, assignment: pb.Assignment, container: Container, *, fresh: bool) -> str | None:
        """What could not be repaired in words, empty when nothing is left; None when nothing was wrong. `fresh`: a
        deploy that was not applied yet wants the container. Raises EngineUnreachable."""
        wanted = self._wanted(assignment, container.labels)
        seen = Seen(container.name, container.networks, container.restart_policy, container.paused)
        differences = drift.compare(wanted, seen, fresh=fresh)
        left = []
        for found in differences:
            problem = await self._repaired(found, container.id, wanted)
            if problem:
                left.append(problem)
            else:
                log.warning("container repaired", name=wanted.name, found=found.words)
                self._site.events.put(self._key, "warn", _KIND, f"{found.words}; repaired")
        return "; ".join(left) if differences else None

    def _wanted(self, assignment: pb.Assignment, tags: Mapping[str, str]) -> drift.Wanted:
        return config.wanted(assignment, self._site.identity(), tags)

    async def _repaired(self, found: Drift, container_id: str, wanted: drift.Wanted) -> str:
        if found.repair is None:
            return found.words
        try:
            await self._repair(found.repair, container_id, wanted)
        except EngineRefused as error:
            return f"{found.words}, and could not be repaired: {error}"
        return ""

    async def _repair(self, repair: Repair, container_id: str, wanted: drift.Wanted) -> None:
        runtime = self._site.runtime
        match repair:
            case Repair.RENAME:
                await runtime.containers.rename(container_id, wanted.name)
            case Repair.FORBID_RESTARTS:
                await runtime.containers.forbid_restarts(container_id)
            case Repair.UNPAUSE:
                await runtime.containers.unpause(container_id)
            case Repair.CONNECT:
                await runtime.networks.connect(container_id, wanted.network, wanted.aliases)
            case Repair.RECONNECT:
                await runtime.networks.disconnect(container_id, wanted.network)
                await runtime.networks.connect(container_id, wanted.network, wanted.aliases)
