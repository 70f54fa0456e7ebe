"""Prefers nodes that hold the volumes of the instance already."""

from collections.abc import Sequence

from services.deploy_svc.domain.scheduling.filters.base import Verdict
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement


class VolumeInstance:
    """Looks at volumes of scope `instance` only. A preference: where no node holds them, all nodes are kept."""

    name = "volume instance"
    alone = False

    def varies(self, placement: Placement) -> bool:
        return any(mount.scope == "instance" for mount in placement.service.mounts)

    def check(self, placement: Placement, nodes: Sequence[NodeView]) -> Verdict:
        service = placement.service
        wanted = {
            mount.instance_name(service.stack, service.full_name, placement.number)
            for mount in service.mounts
            if mount.scope == "instance"
        }
        holders = tuple(node for node in nodes if wanted <= node.volumes)
        return Verdict(holders if wanted and holders else tuple(nodes))
