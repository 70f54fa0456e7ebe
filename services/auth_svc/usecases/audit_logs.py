"""The audit log: takes in the events of all services, this one included, and shows them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.auth_svc.domain.audit_entry import AuditEntry, RecordedEntry
from services.auth_svc.domain.audit_page import Page
from services.auth_svc.store import audit_logs
from services.clients.grids import GridDirectory
from services.kernel.db import Database
from services.kernel.errors import Forbidden, Unavailable
from services.kernel.outbox import Message
from services.kernel.principal import Principal


class AuditLogs:
    """What happened, each mutation once."""

    def __init__(self, db: Database, grids: GridDirectory) -> None:
        self._db = db
        self._grids = grids

    async def list_all(self, caller: Principal, page: Page) -> Sequence[RecordedEntry]:
        """Entries of the whole installation, oldest first. Raises Forbidden."""
        if not caller.is_master_admin:
            raise Forbidden
        async with self._db.read() as tx:
            return await audit_logs.find(tx, page)

    async def list_of_grid(self, caller: Principal, grid_name: str, page: Page) -> Sequence[RecordedEntry]:
        """Entries of a grid, oldest first. Raises NotFound, Forbidden."""
        grid = await self._grids.accessible(caller, grid_name)
        async with self._db.read() as tx:
            return await audit_logs.find(tx, page, grid.id)

    async def existing_grids(self) -> Callable[[str], bool]:
        """Tells whether there is a grid with an id. While grid_svc cannot be asked every grid counts as existing."""
        try:
            ids = set(await self._grids.informer.items())
        except Unavailable:
            return lambda _grid_id: True
        return ids.__contains__

    async def record(self, entries: Sequence[AuditEntry]) -> None:
        """Store each entry exactly once, however often it is delivered."""
        await audit_logs.add(self._db, entries)

    async def deliver(self, messages: list[Message]) -> None:
        """The outbox handler of this service's own events: no network call for what stays at home."""
        await self.record([_entry(message.id, message.payload) for message in messages])


def _entry(event_id: str, payload: Mapping[str, Any]) -> AuditEntry:
    fields = dict(payload)
    return AuditEntry(event_id=event_id, time=datetime.fromisoformat(fields.pop("time")), **fields)
