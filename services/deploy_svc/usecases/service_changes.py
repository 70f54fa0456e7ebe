"""What a service would be, checked against everything around: for updates, plans and rollbacks. Nothing is written."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from services.clients.grids import Grid
from services.deploy_svc.domain import service_update as rules
from services.deploy_svc.domain.revision import Version
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_input import ServiceInput
from services.deploy_svc.domain.service_spec import ServiceSpec
from services.deploy_svc.domain.vault_names import VaultNames
from services.deploy_svc.domain.volume import Mount, bind
from services.deploy_svc.store import volumes as volume_store
from services.deploy_svc.usecases import service_checks as checks
from services.deploy_svc.usecases.host_access import HostAccess
from services.kernel.db import AnyTx
from services.kernel.principal import Principal


@dataclass(frozen=True, slots=True)
class Subject:
    """Who changes which service of which grid, and what that grid has of the vault names in question."""

    principal: Principal
    grid: Grid
    service: Service
    known: VaultNames


async def updated(tx: AnyTx, hosts: HostAccess, subject: Subject, given: ServiceInput) -> Version:
    """The service with the attributes that were given. Raises ValidationFailed with all that is wrong, Forbidden."""
    service = subject.service
    spec = rules.merge(service.spec, given, subject.grid.default_affinity)
    names = rules.volume_names(spec)
    # In a stack, a name goes on meaning what the stack said it means.
    mounts = {mount.name: mount for mount in service.mounts if mount.name in names}
    mounts |= await checks.mounts(tx, subject.grid, [name for name in names if name not in mounts])
    made = Version(spec, service.exposed, tuple(mounts.values()))
    await _check(
        tx, hosts, subject, _Made(given, made, rules.host_name_problems(given, service.name, service.domainname))
    )
    return made


async def as_before(tx: AnyTx, hosts: HostAccess, subject: Subject, then: Version) -> Version:
    """The service as it was then, with as many instances as now. Raises ValidationFailed with all that it needs and
    that is gone, Forbidden."""
    spec = replace(then.spec, instances=subject.service.spec.instances)
    mounts, gone = await _mounts_of_then(tx, subject.grid, then.mounts)
    made = Version(spec, subject.service.exposed, tuple(mounts.values()))
    await _check(tx, hosts, subject, _Made(everything(spec), made, {"volumes": gone} if gone else {}))
    return made


def everything(spec: ServiceSpec) -> ServiceInput:
    """A spec as if a client had given all of it."""
    return ServiceInput(None, {item.name: getattr(spec, item.name) for item in fields(spec)}, force=False)


@dataclass(frozen=True, slots=True)
class _Made:
    """What a service would be, of what was given, and what is known to be wrong with it."""

    given: ServiceInput
    version: Version
    errors: dict[str, Any]


async def _check(tx: AnyTx, hosts: HostAccess, subject: Subject, made: _Made) -> None:
    service, spec = subject.service, made.version.spec
    # Again: an admin may have given it something of the node a moment ago.
    hosts.check_service(subject.principal, subject.grid, service)
    hosts.check_spec(subject.principal, subject.grid, service.name, spec, made.version.mounts)
    names = {mount.name: mount for mount in made.version.mounts}
    errors = made.given.missing(subject.known) | rules.problems(spec, made.given, service.spec, names) | made.errors
    checks.refuse(errors | await checks.link_problems(tx, subject.grid, made.given.links))


async def _mounts_of_then(tx: AnyTx, grid: Grid, mounts: Sequence[Mount]) -> tuple[dict[str, Mount], list[str]]:
    """The volumes by the names that the service has for them, as far as they are still the same; what is said of the
    others."""
    found = await volume_store.find_many(tx, grid.id, {mount.volume for mount in mounts}, lock=True)
    there: dict[str, Mount] = {}
    gone: list[str] = []
    for mount in sorted(mounts, key=lambda mount: mount.name):
        volume = found.get(mount.volume)
        if volume is None:
            gone.append(f"Volume {mount.volume} does not exist any more")
        elif volume.id != mount.volume_id:
            gone.append(f"Volume {mount.volume} was removed since, and another one has its name")
        else:
            there[mount.name] = bind(mount.name, volume)
    return there, gone
