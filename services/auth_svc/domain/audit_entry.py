"""One line of the audit log (docs/spec/auth_grid.md section 10)."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A mutation of any service; `event_id` is unique. Absent texts are empty."""

    event_id: str
    time: datetime
    event_name: str
    resource_type: str
    resource_id: str
    resource_name: str
    grid_id: str
    grid: str
    service_id: str
    user_id: str
    user_email: str
    source_ip: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class RecordedEntry:
    """An entry as it is shown. `number` counts up in the order of arrival."""

    number: int
    entry: AuditEntry
