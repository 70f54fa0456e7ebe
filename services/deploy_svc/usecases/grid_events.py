"""Events of other services of the suite, into the event log of their grid."""

import hashlib
from collections.abc import Iterable

from services.deploy_svc.domain.event import Event
from services.deploy_svc.store import event_logs as store
from services.deploy_svc.store import idempotency_keys
from services.kernel.db import Database

_ONCE = "RecordGridEvents"
_DONE = idempotency_keys.Answer(request="", response=b"", http_status=None)


class GridEvents:
    """For other services of the suite only; the authenticator keeps everyone else out."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def record(self, sender: str, events: Iterable[tuple[str, Event]]) -> None:
        """Store events by id, each once within a day and in a transaction of its own."""
        for event_id, event in events:
            key = idempotency_keys.Key(sender, _ONCE, hashlib.sha256(event_id.encode()).hexdigest())
            async with self._db.transaction() as tx:
                if await idempotency_keys.claim(tx, key) is None:
                    await idempotency_keys.remember(tx, key, _DONE)
                    await store.record(tx, event)
