"""What a rollout step looks at."""

from collections.abc import Sequence

from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.rollout_plan import Snapshot
from services.deploy_svc.domain.scheduling.affinity_rule import names_instances
from services.deploy_svc.domain.scheduling.filters.dependency import attaches
from services.deploy_svc.domain.scheduling.pipeline import effective_affinity
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Recorded
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import ServiceDeploy
from services.deploy_svc.store import good_specs
from services.deploy_svc.store.instances import of_service
from services.deploy_svc.store.placement_facts import held_volumes, memory_need, recorded_of_others
from services.deploy_svc.store.service_deploys import Claim, unfinished
from services.kernel import locks
from services.kernel.db import Tx


async def load(tx: Tx, claim: Claim, nodes: Sequence[NodeView], default_affinity: tuple[str, ...]) -> Snapshot:
    """All that the next step of the claimed service depends on. `nodes` and `default_affinity` are of its grid."""
    deploys = await unfinished(tx, claim.service.id)
    own = await of_service(tx, claim.service.id)
    good = await good_specs.of_service(tx, claim.service.id) if _may_go_back(claim.service, deploys) else None
    service = good.of(claim.service) if good and deploys[0].cause == "rollback" else claim.service
    affinity = effective_affinity(service, default_affinity)
    neighbours = await _neighbours(tx, service, affinity)
    revs = [rev for rev in (claim.last_rev, *(instance.deploy_rev for instance in own)) if rev]
    volumes = await held_volumes(tx, [service])
    views = tuple(nodes)
    if neighbours or volumes:
        views = tuple(
            node.with_recorded(*neighbours.get(node.id, ())).with_volumes(volumes.get((service.id, node.id)))
            for node in nodes
        )
    return Snapshot(
        service=service,
        deploys=tuple(deploys),
        instances=tuple(own),
        nodes=(*views, *_unknown_homes(own, nodes)),
        affinity=affinity,
        last_rev=max(revs, default=None),
        good=good,
        memory_need=await memory_need(tx, service) if _places_more(deploys) else 0.0,
    )


def _places_more(deploys: Sequence[ServiceDeploy]) -> bool:
    return bool(deploys) and len(deploys[0].instance_deploys) < (deploys[0].total or 1)


def _may_go_back(service: Service, deploys: Sequence[ServiceDeploy]) -> bool:
    return bool(deploys) and (deploys[0].cause == "rollback" or bool(service.spec.deploy_opts.rollback))


async def _neighbours(tx: Tx, service: Service, affinity: tuple[str, ...]) -> dict[str, list[Recorded]]:
    """Instances of other services by node, as far as ports and affinity rules of this one look at them."""
    ports = sorted({port.node_port for port in service.spec.ports})
    by_name = names_instances(affinity) or attaches(service.spec)
    if not ports and not by_name:
        return {}
    if ports:
        # Two services that want the same port must not both find it free: in a grid they are placed one by one.
        await locks.hold(tx, locks.PLACEMENT, service.grid_id)
    return await recorded_of_others(tx, service, None if by_name else ports)


def _unknown_homes(own: Sequence[Instance], nodes: Sequence[NodeView]) -> list[NodeView]:
    """Nodes that hold instances but are not known here (yet, or any more): offline, so nothing is sent to them.

    A stateful instance stays with its data until the removal of its node is certain.
    """
    known = {node.id for node in nodes}
    homes = {instance.node_id for instance in own if instance.node_id and instance.node_id not in known}
    return [
        NodeView(id=home, name=f"{home} (not known)", number=0, connected=False, offline_seconds=float("inf"))
        for home in sorted(homes)
    ]
