"""Events: what happened to a service, for people."""

from dataclasses import dataclass
from datetime import datetime

DEBUG, INFO, WARN, ERROR = 0, 1, 2, 3

# What a node may report; the other types are the master's own.
NODE_TYPES = frozenset(
    f"service:{name}"
    for name in (
        "create_instance",
        "start_instance",
        "stop_instance",
        "restart_instance",
        "remove_instance",
        "instance_crash",
        "health_check",
    )
)


@dataclass(frozen=True, slots=True)
class Event:
    """What is to be recorded; the message never holds a secret value. `service` is its name; None for `time` is now."""

    grid_id: str
    type: str
    message: str
    severity: int = INFO
    stack: str | None = None
    service_id: str | None = None
    service: str | None = None
    volume: str | None = None
    node_id: str | None = None
    instance_number: int | None = None
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """An event as a node sent it; `id` grows within an agent process and names the process."""

    id: str
    service_id: str
    instance_number: int
    severity: int
    type: str
    message: str
    time: datetime | None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it is read. Names of what does not exist any more are None."""

    id: int
    time: datetime
    severity: int
    type: str
    message: str
    instance_number: int | None
    stack: str | None
    # (stack, name)
    service: tuple[str, str] | None
    volume: str | None
    node_id: str | None


def not_stored(events: list[NodeEvent], last_id: str | None) -> list[NodeEvent]:
    """The events after the last stored one; all of them when another process of the agent sent that one."""
    process, _, _ = (last_id or "").partition("/")
    return [event for event in events if not event.id.startswith(f"{process}/") or event.id > (last_id or "")]
