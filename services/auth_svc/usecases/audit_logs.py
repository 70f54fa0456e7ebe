"""Takes in the audit events of all services, this one included."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from services.auth_svc.domain.audit_entry import AuditEntry
from services.auth_svc.store import audit_logs
from services.kernel.db import Database
from services.kernel.outbox import Message


class AuditLogs:
    """The audit log."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def record(self, entries: Sequence[AuditEntry]) -> None:
        """Store each entry exactly once, however often it is delivered."""
        async with self._db.transaction() as tx:
            await audit_logs.add(tx, [_storable(entry) for entry in entries])

    async def deliver(self, messages: list[Message]) -> None:
        """The outbox handler of this service's own events: no network call for what stays at home."""
        await self.record([_entry(message.id, message.payload) for message in messages])


def _entry(event_id: str, payload: Mapping[str, Any]) -> AuditEntry:
    fields = dict(payload)
    return AuditEntry(event_id=event_id, time=datetime.fromisoformat(fields.pop("time")), **fields)


def _storable(entry: AuditEntry) -> AuditEntry:
    """Without NUL characters: Postgres refuses them, and one bad event must not hold up all that follow."""
    cleaned: dict[str, Any] = {
        name: value.replace("\0", "") if isinstance(value, str) else value for name, value in asdict(entry).items()
    }
    return AuditEntry(**cleaned)
