"""Dry run of a service: what an update and a deploy would do. Nothing is written."""

from services.deploy_svc.domain.service_input import Attributes, parse
from services.deploy_svc.domain.stack_changes import Wanted
from services.deploy_svc.domain.stack_plan import ServicePlan
from services.deploy_svc.usecases.dry_runs import DryRuns
from services.deploy_svc.usecases.parts import Parts, UseCases
from services.deploy_svc.usecases.service_changes import Subject, updated
from services.kernel.principal import Principal


class ServicePlans(UseCases):
    """The use case. It checks like an update does, and raises the same errors."""

    def __init__(self, parts: Parts, dry_runs: DryRuns) -> None:
        super().__init__(parts)
        self._dry_runs = dry_runs

    async def update(self, principal: Principal, path: str, attributes: Attributes) -> ServicePlan:
        """What the service would be with these attributes, and where."""
        grid, service = await self._access.changeable(principal, path)
        given = parse(attributes, creating=False, stack=service.stack)
        known = await self._vault.existing(grid, given.vault_names)
        async with self._db.read() as tx:
            made = await updated(tx, self._access.hosts, Subject(principal, grid, service, known), given)
            wanted = Wanted(service.name, made.spec, given, made.mounts, made.exposed, service)
            (planned,) = await self._dry_runs.planned(tx, grid, service.stack, [wanted])
        new = planned.action == "change" or given.force
        return ServicePlan(service.path, service.revision + 1 if new else service.revision, planned)
