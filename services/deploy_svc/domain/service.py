"""A service: what the user asked for and what was made of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.deploy_svc.domain.service_spec import ServiceSpec

ServiceState = Literal["initialized", "running", "stopped"]

# The stack of services that were created outside any stack.
NULL_STACK = "null"


@dataclass(frozen=True, slots=True)
class Service:
    """A row of `services`. `grid` is the name of the grid; `restarts` counts restart requests."""

    id: str
    grid_id: str
    grid: str
    stack: str
    name: str
    spec: ServiceSpec
    state: ServiceState
    revision: int
    stack_revision: int | None
    restarts: int
    deployed_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def path(self) -> str:
        """`grid/stack/service`."""
        return f"{self.grid}/{self.stack}/{self.name}"

    @property
    def domainname(self) -> str:
        """The DNS domain of the instances."""
        own = f"{self.grid}.kontena.local"
        return own if self.stack == NULL_STACK else f"{self.stack}.{own}"

    @property
    def full_name(self) -> str:
        """`service`, or `stack.service`: the prefix of container names."""
        return self.name if self.stack == NULL_STACK else f"{self.stack}.{self.name}"
