"""Reads of services: each is put together from parts that are kept, of the versions that Postgres says are current."""

from collections.abc import Callable, Iterable, Sequence

from services.clients.grids import Grid
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_view import ServicePart, ShownService, Surroundings
from services.deploy_svc.store import service_versions
from services.deploy_svc.store.service_versions import CurrentService
from services.kernel.db import Database
from services.kernel.kept import Kept, Newest, Version


class ServiceReads:
    """What answers show of services whose versions are known."""

    def __init__(
        self, db: Database, part: Callable[[Service], ServicePart], around: Callable[[Surroundings], bytes]
    ) -> None:
        self._db = db
        self._kept = Kept(part)
        self._around = around
        # What was shown of services that link to no other, by id, with all that it depends on.
        self._shown: Newest[tuple[CurrentService, Grid, ShownService]] = Newest()

    async def one(self, grid: Grid, stack: str, name: str) -> ShownService | None:
        """The service at a path; None when there is none."""
        found = await service_versions.one(self._db, grid.id, stack, name)
        shown = await self.shown(grid, [found] if found else ())
        return shown[0] if shown else None

    async def shown(self, grid: Grid, found: Sequence[CurrentService]) -> list[ShownService]:
        """The services in the same order, without those that were removed a moment ago."""
        shown: dict[str, ShownService] = {}
        changed: list[CurrentService] = []
        for service in found:
            known = self._shown.get(service.id)
            if known is not None and known[0] == service and known[1] is grid:
                shown[service.id] = known[2]
            else:
                changed.append(service)
        if changed:
            await self._add(shown, grid, changed)
        return [one for service in found if (one := shown.get(service.id)) is not None]

    async def _add(self, shown: dict[str, ShownService], grid: Grid, changed: Sequence[CurrentService]) -> None:
        parts = await self._kept.of({service.id: service.version for service in changed}, self._load)
        existing = await self._existing(grid, parts.values())
        for service in changed:
            if (part := parts.get(service.id)) is None:
                continue
            around = self._around(part.needs.met(existing, grid.default_affinity, service.counts))
            shown[service.id] = ShownService(service.id, part, around)
            if not part.needs.links:
                self._shown.put(service.id, (service, grid, shown[service.id]))

    async def _load(self, ids: Sequence[str]) -> list[tuple[str, Version, Service]]:
        async with self._db.read() as tx:
            return await service_versions.load(tx, ids)

    async def _existing(self, grid: Grid, parts: Iterable[ServicePart]) -> set[tuple[str, str]]:
        """Those of the services they link to that exist."""
        linked = {(link.stack, link.service) for part in parts for link in part.needs.links}
        if not linked:
            return set()
        return await service_versions.existing(self._db, grid.id, linked)
