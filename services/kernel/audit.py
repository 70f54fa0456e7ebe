"""Audit trail: every mutation writes one event in its own transaction; the outbox brings it to auth_svc."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from services.kernel import call
from services.kernel.db import AnyTx
from services.kernel.outbox import Outbox, message
from services.kernel.principal import Principal
from services.kernel.statements import Statement

TOPIC = "audit"


@dataclass(frozen=True, slots=True)
class Resource:
    """What was changed: class-style type (`Grid`, `GridService`, ...), id, name, and where it lives."""

    type: str
    id: str
    name: str
    grid_id: str = ""
    grid: str = ""
    service_id: str = ""


async def record(tx: AnyTx, outbox: Outbox, event: str, resource: Resource, *, by: Principal | None = None) -> None:
    """Record that the current caller did `event` to `resource`, or somebody (`by`) who has just proved who they are.
    Never pass secret values in here."""
    await outbox.emit(tx, TOPIC, _entry(event, resource, by or call.current().principal))


def event(name: str, resource: Resource) -> dict[str, str]:
    """The same as parameters of a statement that does what it tells (`Outbox.telling`), or that is `audited`, for which
    the resource needs no id."""
    return message(TOPIC, _entry(name, resource, call.current().principal))


def _entry(event: str, resource: Resource, caller: Principal | None) -> dict[str, str]:
    now = call.current()
    return {
        "time": datetime.now(UTC).isoformat(),
        "event_name": event,
        "resource_type": resource.type,
        "resource_id": resource.id,
        "resource_name": resource.name,
        "grid_id": resource.grid_id,
        "grid": resource.grid,
        "service_id": resource.service_id,
        "user_id": caller.user_id if caller else "",
        "user_email": caller.email if caller else "",
        "source_ip": now.source_ip,
        "user_agent": now.user_agent,
    }


def audited(outbox: Outbox, query: sa.Select[Any]) -> Statement:
    """A query for one record, by whose `id` the `event` among its parameters is called, in one statement: nobody reads
    it without leaving the event."""
    found = query.cte("found")
    return Statement(outbox.telling(found, *found.c, more={"resource_id": found.c.id}))
