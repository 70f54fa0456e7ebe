"""What a service needs from elsewhere: does it exist? And what answers show of services."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from services.clients.grids import Grid
from services.deploy_svc.domain.service import NULL_STACK, Service
from services.deploy_svc.domain.service_spec import Link
from services.deploy_svc.domain.service_view import InstanceCounts, ServiceView, needs
from services.deploy_svc.domain.volume import Mount, bind
from services.deploy_svc.store import instances
from services.deploy_svc.store import services as store
from services.deploy_svc.store import volumes as volume_store
from services.kernel.db import AnyTx
from services.kernel.errors import ValidationFailed


async def link_problems(tx: AnyTx, grid: Grid, links: Iterable[Link]) -> dict[str, Any]:
    """Links to what does not exist; what exists cannot be deleted before the transaction ends."""
    wanted = [(link.stack, link.service) for link in links]
    known = await store.existing(tx, grid.id, wanted, lock=True)
    missing = [link for link in dict.fromkeys(wanted) if link not in known]
    if not missing:
        return {}
    stacks = await store.stacks(tx, grid.id, {stack for stack, _ in missing}) | {NULL_STACK}
    texts = [
        f"Service {stack}/{name} does not exist" if stack in stacks else f"Stack {stack} does not exist"
        for stack, name in missing
    ]
    return {"links": texts}


async def mounts(tx: AnyTx, grid: Grid, names: Collection[str]) -> dict[str, Mount]:
    """The volumes of the grid that exist under these names; they cannot be deleted before the transaction ends."""
    found = await volume_store.find_many(tx, grid.id, names, lock=True)
    return {name: bind(name, volume) for name, volume in found.items()}


async def views(tx: AnyTx, grid: Grid, found: Sequence[Service]) -> list[ServiceView]:
    """What answers show of the services, in two queries however many they are."""
    counts = await instances.counts(tx, [service.id for service in found])
    linked = {(link.stack, link.service) for service in found for link in service.spec.links}
    targets = await store.existing(tx, grid.id, linked)
    return [
        ServiceView(service, needs(service).met(targets, grid.default_affinity, counts[service.id]))
        for service in found
    ]


def new_view(grid: Grid, service: Service) -> ServiceView:
    """What answers show of a service that was just made: no instances, and links that were checked."""
    linked = {(link.stack, link.service) for link in service.spec.links}
    return ServiceView(service, needs(service).met(linked, grid.default_affinity, InstanceCounts()))


def refuse(errors: dict[str, Any]) -> None:
    """Raise ValidationFailed when there are errors."""
    if errors:
        raise ValidationFailed(errors)
