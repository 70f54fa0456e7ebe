"""The audit log of the whole suite."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy.dialects.postgresql import insert

from services.auth_svc.domain.audit_entry import AuditEntry
from services.auth_svc.store.tables import audit_logs
from services.kernel.db import Tx


async def add(tx: Tx, entries: Sequence[AuditEntry]) -> None:
    """Store each entry once by its event id; known ones are left as they are."""
    if entries:
        statement = insert(audit_logs).values([asdict(entry) for entry in entries]).on_conflict_do_nothing()
        await tx.execute(statement)
