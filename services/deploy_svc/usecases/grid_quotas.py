"""Refuses what would be more than the quotas of a grid (domain/quotas.py)."""

from functools import partial

from services.deploy_svc.domain.quotas import DeployQuotas
from services.deploy_svc.domain.revision import Note
from services.deploy_svc.domain.service_spec import ServiceSpec
from services.deploy_svc.domain.stack import Document
from services.deploy_svc.store.grids import measure
from services.deploy_svc.store.jsonb import DOCUMENT, SPEC
from services.kernel.db import AnyTx
from services.kernel.principal import Principal
from services.kernel.quotas import Measured


class GridQuotas:
    """What each grid has is known about, see Measured."""

    def __init__(self, quotas: DeployQuotas) -> None:
        self._quotas = quotas
        self._measured = Measured(quotas)

    def note(self, principal: Principal) -> Note:
        """What a revision says that the caller makes."""
        return Note(principal.email or None, self._quotas.revisions_kept)

    async def add_service(self, tx: AnyTx, grid_id: str, spec: ServiceSpec, within: str = "") -> None:
        """Before a service is made, of a document's part `within` (`services.web.`). Raises QuotaExceeded."""
        await self._add(
            tx, grid_id, f"{within}name", services_per_grid=1, spec_bytes_per_grid=self._size_of(spec, within)
        )

    async def change_service(self, tx: AnyTx, grid_id: str, before: ServiceSpec, after: ServiceSpec) -> None:
        """Before a service is changed. What does not grow is never refused. Raises QuotaExceeded."""
        growth = len(SPEC.dump_json(after)) - len(SPEC.dump_json(before))
        if growth > 0:
            self._size_of(after)
            await self._add(tx, grid_id, "service", spec_bytes_per_grid=growth)

    async def add_stack(self, tx: AnyTx, grid_id: str, document: Document) -> None:
        """Before a stack is made. Raises QuotaExceeded."""
        await self._add(tx, grid_id, "name", stacks_per_grid=1, spec_bytes_per_grid=self._size_of_stack(document))

    async def change_stack(self, tx: AnyTx, grid_id: str, before: Document, after: Document) -> None:
        """Before a stack gets another document. What does not grow is never refused. Raises QuotaExceeded."""
        growth = len(DOCUMENT.dump_json(after)) - len(DOCUMENT.dump_json(before))
        if growth > 0:
            self._size_of_stack(after)
            await self._add(tx, grid_id, "stack", spec_bytes_per_grid=growth)

    async def add_volume(self, tx: AnyTx, grid_id: str) -> None:
        """Before a volume is made. Raises QuotaExceeded."""
        await self._add(tx, grid_id, "name", volumes_per_grid=1)

    async def add_config(self, tx: AnyTx, grid_id: str, content: str) -> None:
        """Before a config is made. Raises QuotaExceeded."""
        await self._add(tx, grid_id, "name", configs_per_grid=1, config_bytes_per_grid=len(content.encode()))

    async def change_config(self, tx: AnyTx, grid_id: str, before: str, after: str) -> None:
        """Before a config gets another text. What does not grow is never refused. Raises QuotaExceeded."""
        growth = len(after.encode()) - len(before.encode())
        if growth > 0:
            await self._add(tx, grid_id, "content", config_bytes_per_grid=growth)

    def _size_of(self, spec: ServiceSpec, within: str = "") -> int:
        size = len(SPEC.dump_json(spec))
        self._quotas.check(f"{within}service", {"service_bytes": size})
        return size

    def _size_of_stack(self, document: Document) -> int:
        size = len(DOCUMENT.dump_json(document))
        self._quotas.check("stack", {"stack_bytes": size})
        return size

    async def _add(self, tx: AnyTx, grid_id: str, attribute: str, **more: int) -> None:
        await self._measured.add(grid_id, attribute, more, partial(measure, tx, grid_id))
