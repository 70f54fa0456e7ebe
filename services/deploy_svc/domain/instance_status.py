"""What a node observes of one of its instances."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

STATES = frozenset({"running", "stopped", "restarting", "missing"})


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """One entry of a status report; None where the node has nothing to say."""

    instance_id: str
    rev: str | None
    state: str
    error: str | None = None
    container_id: str | None = None
    container_started_at: datetime | None = None
    health: str | None = None
    data_volumes: Mapping[str, str] = field(default_factory=dict)
    address: str | None = None
