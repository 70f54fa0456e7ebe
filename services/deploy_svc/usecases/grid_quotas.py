"""Refuses what would be more than the quotas of a grid (domain/quotas.py)."""

import time
from dataclasses import dataclass, replace

from services.deploy_svc.domain.quotas import DeployQuotas
from services.deploy_svc.domain.revision import Note
from services.deploy_svc.domain.service_spec import ServiceSpec
from services.deploy_svc.domain.stack import Document
from services.deploy_svc.store.grid_load import GridLoad, measure
from services.deploy_svc.store.jsonb import DOCUMENT, SPEC
from services.kernel.db import AnyTx
from services.kernel.principal import Principal

# A grid is measured again after so long, and at once when it has used this much of a quota: measuring reads all of it.
_GOOD_SECONDS, _FAR = 10.0, 0.5


@dataclass(frozen=True, slots=True)
class _Known:
    load: GridLoad
    at: float


class GridQuotas:
    """Knows about what each grid has. Far below the quotas nothing is asked of the database for most requests, so
    replicas together may pass one by what they add within ten seconds from there."""

    def __init__(self, quotas: DeployQuotas) -> None:
        self._quotas = quotas
        self._known: dict[str, _Known] = {}

    def note(self, principal: Principal) -> Note:
        """What a revision says that the caller makes."""
        return Note(principal.email or None, self._quotas.revisions_kept)

    async def add_service(self, tx: AnyTx, grid_id: str, spec: ServiceSpec, within: str = "") -> None:
        """Before a service is made, of a document's part `within` (`services.web.`). Raises QuotaExceeded."""
        await self._add(tx, grid_id, f"{within}name", GridLoad(services=1, size=self._size_of(spec, within)))

    async def change_service(self, tx: AnyTx, grid_id: str, before: ServiceSpec, after: ServiceSpec) -> None:
        """Before a service is changed. What does not grow is never refused. Raises QuotaExceeded."""
        growth = len(SPEC.dump_json(after)) - len(SPEC.dump_json(before))
        if growth > 0:
            self._size_of(after)
            await self._add(tx, grid_id, "service", GridLoad(size=growth))

    async def add_stack(self, tx: AnyTx, grid_id: str, document: Document) -> None:
        """Before a stack is made. Raises QuotaExceeded."""
        await self._add(tx, grid_id, "name", GridLoad(stacks=1, size=self._size_of_stack(document)))

    async def change_stack(self, tx: AnyTx, grid_id: str, before: Document, after: Document) -> None:
        """Before a stack gets another document. What does not grow is never refused. Raises QuotaExceeded."""
        growth = len(DOCUMENT.dump_json(after)) - len(DOCUMENT.dump_json(before))
        if growth > 0:
            self._size_of_stack(after)
            await self._add(tx, grid_id, "stack", GridLoad(size=growth))

    async def add_volume(self, tx: AnyTx, grid_id: str) -> None:
        """Before a volume is made. Raises QuotaExceeded."""
        await self._add(tx, grid_id, "name", GridLoad(volumes=1))

    async def add_config(self, tx: AnyTx, grid_id: str, content: str) -> None:
        """Before a config is made. Raises QuotaExceeded."""
        await self._add(tx, grid_id, "name", GridLoad(configs=1, config_size=len(content.encode())))

    async def change_config(self, tx: AnyTx, grid_id: str, before: str, after: str) -> None:
        """Before a config gets another text. What does not grow is never refused. Raises QuotaExceeded."""
        growth = len(after.encode()) - len(before.encode())
        if growth > 0:
            await self._add(tx, grid_id, "content", GridLoad(config_size=growth))

    def _size_of(self, spec: ServiceSpec, within: str = "") -> int:
        size = len(SPEC.dump_json(spec))
        self._quotas.check(f"{within}service", {"service_bytes": size})
        return size

    def _size_of_stack(self, document: Document) -> int:
        size = len(DOCUMENT.dump_json(document))
        self._quotas.check("stack", {"stack_bytes": size})
        return size

    async def _add(self, tx: AnyTx, grid_id: str, attribute: str, more: GridLoad) -> None:
        known, now = self._known.get(grid_id), time.monotonic()
        if known is None or now > known.at + _GOOD_SECONDS or not self._far(known.load + more):
            known = _Known(await measure(tx, grid_id), now)
        self._quotas.check(attribute, self._counted(known.load + more, more))
        self._known[grid_id] = replace(known, load=known.load + more)

    def _far(self, load: GridLoad) -> bool:
        return all(count < _FAR * getattr(self._quotas, name) for name, count in self._counted(load, load).items())

    def _counted(self, load: GridLoad, more: GridLoad) -> dict[str, int]:
        """What grows, by quota."""
        quotas = {
            "services_per_grid": (load.services, more.services),
            "stacks_per_grid": (load.stacks, more.stacks),
            "volumes_per_grid": (load.volumes, more.volumes),
            "spec_bytes_per_grid": (load.size, more.size),
            "configs_per_grid": (load.configs, more.configs),
            "config_bytes_per_grid": (load.config_size, more.config_size),
        }
        return {name: count for name, (count, added) in quotas.items() if added}
