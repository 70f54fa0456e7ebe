"""An instance: one number of a service, its desired state and what its node observed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.deploy_svc.domain.pod import Pod

DesiredState = Literal["initialized", "running", "stopped"]


@dataclass(frozen=True, slots=True)
class Instance:
    """A row of `instances`. `node_id` is None while it is not placed; `rev` is None until the node reported.

    `good_container_id` is the container that ran when a deploy last succeeded. `data_volumes` are the engine volumes of
    its node that hold its data, by path: all that the node ever told. `service` is `stack/service`, empty where nobody
    asked for it.
    """

    id: str
    service_id: str
    instance_number: int
    node_id: str | None
    desired_state: DesiredState
    deploy_rev: str | None
    service_revision: int
    restarts: int
    pod: Pod | None
    state: str
    rev: str | None
    error: str | None
    container_id: str | None
    health: str | None
    created_at: datetime
    updated_at: datetime
    good_container_id: str | None = None
    data_volumes: Mapping[str, str] = field(default_factory=dict)
    service: str = ""
