"""A service: what the user asked for and what was made of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.deploy_svc.domain.service_spec import ServiceSpec
from services.deploy_svc.domain.volume import Mount

ServiceState = Literal["initialized", "running", "stopped"]

# The stack of services that were created outside any stack.
NULL_STACK = "null"


@dataclass(frozen=True, slots=True)
class Service:
    """A row of `services`. `grid` is the name of the grid; `restarts` counts restart requests.

    `exposed` says that its stack publishes it at grid level; `mounts` binds its named volumes to those of the grid.
    """

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
    exposed: bool = False
    mounts: tuple[Mount, ...] = ()

    @property
    def etag(self) -> str:
        """Names this version of what users set; starting and stopping makes no other version."""
        return f"{self.id}-{self.revision}-{self.updated_at.timestamp():.6f}"

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
