"""A deploy of a service: its queue entry, its progress and its outcome (docs/spec/deploy_rest.md section 6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

DeployState = Literal["created", "ongoing", "success", "error"]
Cause = Literal["request", "automatic", "rollback"]
Origin = Literal[
    "deploy", "scale", "rollback", "rebalance", "stack", "secret", "certificate", "config", "challenge",
    "automatic", "failed_deploy",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked for a deploy, an e-mail or nobody, and what it came from; `name` says what exactly."""

    origin: Origin | None = None
    by: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class InstanceDeploy:
    """The rollout of one instance within a deploy; `node_id` and `node` are empty when no node could take it."""

    instance_number: int
    node_id: str
    node: str
    state: DeployState
    error: str | None
    started_at: datetime


@dataclass(frozen=True, slots=True)
class ServiceDeploy:
    """`finished_at` is set together with the final state, never later than a client can see it.

    `revision` is what a rollback gives to the instances that it changes, None for other deploys. `moves` has the nodes
    by number of the instances that a rebalance moves, None for deploys of all instances.
    """

    id: str
    service_id: str
    state: DeployState
    reason: str | None
    deploy_rev: str | None
    total: int | None
    created_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    instance_deploys: tuple[InstanceDeploy, ...] = ()
    cause: Cause = "request"
    revision: int | None = None
    asked: Asked = field(default=Asked())
    canceled_at: datetime | None = None
    moves: Mapping[int, str] | None = None
