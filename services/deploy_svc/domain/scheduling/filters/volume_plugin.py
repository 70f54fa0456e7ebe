"""Keeps nodes that have the volume drivers of the service."""

from collections.abc import Sequence

from services.deploy_svc.domain.scheduling.filters.base import Verdict, split
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement

# Part of every engine, whether the node reports it or not.
_BUILT_IN = "local"


class VolumePlugin:
    """Each driver of a named volume must be one that the node reports; versions do not matter."""

    name = "volume plugin"
    alone = True

    def varies(self, placement: Placement) -> bool:
        return False

    def check(self, placement: Placement, nodes: Sequence[NodeView]) -> Verdict:
        wanted = {mount.driver.partition(":")[0] for mount in placement.service.mounts} - {_BUILT_IN}
        if not wanted:
            return Verdict(tuple(nodes))

        def refuse(node: NodeView) -> str | None:
            missing = sorted(wanted - {driver.partition(":")[0] for driver in node.volume_drivers})
            if not missing:
                return None
            return f"volume driver{'s' if len(missing) > 1 else ''} {', '.join(missing)} missing"

        return split(self.name, nodes, refuse)
