"""What steps of rollouts look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.rollout_plan import Good, Snapshot
from services.deploy_svc.domain.scheduling.affinity_rule import names_instances
from services.deploy_svc.domain.scheduling.filters.dependency import attaches
from services.deploy_svc.domain.scheduling.pipeline import effective_affinity
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Recorded
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import ServiceDeploy
from services.deploy_svc.store import good_specs
from services.deploy_svc.store.instances import of_services
from services.deploy_svc.store.placement_facts import held_volumes, memory_needs, recorded_of_others
from services.deploy_svc.store.service_deploys import Claim, unfinished
from services.kernel import locks
from services.kernel.db import Tx


@dataclass(frozen=True, slots=True)
class Loaded:
    """`alone` are ids of services that have to be claimed by themselves: two of them must not be placed side by side,
    as each looks at what is where."""

    snapshots: tuple[Snapshot, ...]
    alone: tuple[str, ...] = ()


async def load(tx: Tx, claims: Sequence[Claim], nodes: Sequence[NodeView], default_affinity: tuple[str, ...]) -> Loaded:
    """All that the next steps of the claimed services depend on, in a number of statements that does not grow with
    theirs. `nodes` and `default_affinity` are of their grid."""
    ids = [claim.service.id for claim in claims]
    deploys = await unfinished(tx, ids)
    going_back = [claim.service.id for claim in claims if _may_go_back(claim.service, deploys[claim.service.id])]
    good = await good_specs.of_services(tx, going_back)
    services = {key: _service(claim, deploys[key], good) for key, claim in zip(ids, claims, strict=True)}
    watchful = [key for key, service in services.items() if _ports(service) or _by_name(service, default_affinity)]
    alone = () if len(claims) == 1 else tuple(watchful)
    taken = [claim for claim in claims if claim.service.id not in alone]
    own = await of_services(tx, [claim.service.id for claim in taken])
    volumes = await held_volumes(tx, [services[claim.service.id] for claim in taken])
    placing = [services[claim.service.id] for claim in taken if _places_more(deploys[claim.service.id])]
    needs = await memory_needs(tx, placing)
    snapshots = []
    for claim in taken:
        key, service = claim.service.id, services[claim.service.id]
        neighbours = await _neighbours(tx, service, default_affinity) if key in watchful else {}
        revs = [rev for rev in (claim.last_rev, *(instance.deploy_rev for instance in own[key])) if rev]
        snapshots.append(
            Snapshot(
                service=service,
                deploys=tuple(deploys[key]),
                instances=tuple(own[key]),
                nodes=(*_views(service, nodes, neighbours, volumes), *_unknown_homes(own[key], nodes)),
                affinity=effective_affinity(service, default_affinity),
                last_rev=max(revs, default=None),
                good=good.get(key),
                memory_need=needs.get(key, 0.0),
            )
        )
    return Loaded(tuple(snapshots), alone)


def _service(claim: Claim, deploys: Sequence[ServiceDeploy], good: Mapping[str, Good]) -> Service:
    """The service as the deploy wants it."""
    before = good.get(claim.service.id)
    return before.of(claim.service) if before and deploys[0].cause == "rollback" else claim.service


def _views(
    service: Service,
    nodes: Sequence[NodeView],
    neighbours: Mapping[str, Sequence[Recorded]],
    volumes: Mapping[tuple[str, str], frozenset[str]],
) -> Sequence[NodeView]:
    if not neighbours and not volumes:
        return nodes
    return [
        node.with_recorded(*neighbours.get(node.id, ())).with_volumes(volumes.get((service.id, node.id)))
        for node in nodes
    ]


def _places_more(deploys: Sequence[ServiceDeploy]) -> bool:
    return bool(deploys) and len(deploys[0].instance_deploys) < (deploys[0].total or 1)


def _may_go_back(service: Service, deploys: Sequence[ServiceDeploy]) -> bool:
    return bool(deploys) and (deploys[0].cause == "rollback" or bool(service.spec.deploy_opts.rollback))


def _ports(service: Service) -> list[int]:
    return sorted(service.spec.node_ports)


def _by_name(service: Service, default_affinity: tuple[str, ...]) -> bool:
    return names_instances(effective_affinity(service, default_affinity)) or attaches(service.spec)


async def _neighbours(tx: Tx, service: Service, default_affinity: tuple[str, ...]) -> dict[str, list[Recorded]]:
    """Instances of other services by node, as far as ports and affinity rules of this one look at them."""
    ports = _ports(service)
    if ports:
        # Two services that want the same port must not both find it free: in a grid they are placed one by one.
        await locks.hold(tx, locks.PLACEMENT, service.grid_id)
    return await recorded_of_others(tx, service, None if _by_name(service, default_affinity) else ports)


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
