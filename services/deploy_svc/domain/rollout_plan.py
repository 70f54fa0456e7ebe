"""What a rollout step looks at and what it decides, as values."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.pod import Pod
from services.deploy_svc.domain.scheduling.snapshot import NodeView
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import ServiceDeploy
from services.deploy_svc.domain.service_spec import ServiceSpec
from services.deploy_svc.domain.volume import Mount


@dataclass(frozen=True, slots=True)
class Good:
    """What the last deploy that succeeded had rolled out."""

    revision: int
    spec: ServiceSpec
    exposed: bool = False
    mounts: tuple[Mount, ...] = ()

    def of(self, service: Service) -> Service:
        """The service as it was then."""
        return replace(service, spec=self.spec, exposed=self.exposed, mounts=self.mounts)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One service with its unfinished deploys (oldest first), its instances and all nodes of its grid.

    `nodes` show what other services have there; the own instances are in `instances`. `affinity` is the effective one.
    `last_rev` is the newest deploy_rev the service ever had. `good` is None before the first success. When the oldest
    deploy is a rollback, `service` is as `good` says, and `affinity` with it. `memory_need` is what its containers
    used, 0 when unknown.
    """

    service: Service
    deploys: tuple[ServiceDeploy, ...]
    instances: tuple[Instance, ...]
    nodes: tuple[NodeView, ...]
    affinity: tuple[str, ...] = ()
    last_rev: str | None = None
    good: Good | None = None
    memory_need: float = 0.0


OFFLINE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. `offline` is how long a rollout waits for a lost node before its instances count as failed, or move;
    `news` is how long a change of a node may be on its way to this service."""

    instance: float = 300.0
    deploy: float = 1800.0
    offline: float = OFFLINE_SECONDS
    news: float = 1.0
    recheck: float = 5.0


@dataclass(frozen=True, slots=True)
class Start:
    """The deploy begins; instances with these numbers are too many and go away with their containers."""

    deploy_id: str
    deploy_rev: str
    total: int
    surplus: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """The rollout of an instance begins: it shall be on this node."""

    deploy_id: str
    instance_number: int
    position: int
    node_id: str
    node: str


@dataclass(frozen=True, slots=True)
class Keep:
    """The instance stays as it is on its node, which hears nothing of the deploy; its rollout is a success."""

    deploy_id: str
    instance_number: int
    position: int
    node_id: str
    node: str


@dataclass(frozen=True, slots=True)
class Unplaced:
    """No node can take the instance, and the deploy ends with that."""

    deploy_id: str
    instance_number: int
    position: int
    error: str


@dataclass(frozen=True, slots=True)
class StopOnOldNode:
    """The instance leaves the node it is on; the node stops it before another one starts it."""

    instance_number: int
    deploy_rev: str


@dataclass(frozen=True, slots=True)
class Run:
    """The instance runs on this node with this pod, from now on."""

    deploy_id: str
    instance_number: int
    node_id: str
    deploy_rev: str
    service_revision: int
    pod: Pod


@dataclass(frozen=True, slots=True)
class MarkInstance:
    """The rollout of an instance ended."""

    deploy_id: str
    instance_number: int
    state: Literal["success", "error"]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The deploy ended; the state and the time become visible together."""

    deploy_id: str
    state: Literal["success", "error"]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RollBack:
    """A deploy failed: another one shall bring the last good spec back. `good` is the revision of that spec."""

    good: int


Action = Start | Keep | Place | Unplaced | StopOnOldNode | Run | MarkInstance | Finish | RollBack


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, in order, and when to look again if nothing happens before (Defer)."""

    actions: tuple[Action, ...]
    until: datetime
