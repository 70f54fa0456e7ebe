"""A container as its node reported it, and what is kept of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

TYPE_LABEL = "io.kontena.container.type"
SERVICE_LABEL = "io.kontena.service.id"
INSTANCE_LABEL = "io.kontena.service.instance_number"
DEPLOY_REV_LABEL = "io.kontena.container.deploy_rev"
SERVICE_REV_LABEL = "io.kontena.container.service_revision"

ContainerType = Literal["container", "volume"]


@dataclass(frozen=True, slots=True)
class State:
    """What the engine says about the process."""

    error: str = ""
    exit_code: int = 0
    pid: int = 0
    oom_killed: bool = False
    paused: bool = False
    restarting: bool = False
    dead: bool = False
    running: bool = False


@dataclass(frozen=True, slots=True)
class Binding:
    """A port; `node_port` is 0 when it is exposed and not published."""

    container_port: str
    node_ip: str
    node_port: int


@dataclass(frozen=True, slots=True)
class Network:
    """The network as the engine shows it."""

    bridge: str = ""
    gateway: str = ""
    ip_address: str = ""
    ip_prefix_len: int = 0
    mac_address: str = ""


@dataclass(frozen=True, slots=True)
class Details:
    """What is only shown. `volumes` are (path in the container, path on the node)."""

    image: str = ""
    image_version: str = ""
    cmd: Sequence[str] = ()
    env: Sequence[str] = ()
    hostname: str = ""
    domainname: str = ""
    deploy_rev: str = ""
    service_rev: str = ""
    state: State = field(default_factory=State)
    network: Network = field(default_factory=Network)
    ports: Sequence[Binding] = ()
    volumes: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Reported:
    """A container of a report. `service_id` is what the node says."""

    container_id: str
    name: str
    type: ContainerType
    service_id: str | None
    instance_number: int | None
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    details: Details


@dataclass(frozen=True, slots=True)
class Container:
    """A container of the mirror. `service` is (stack, name), None without one; `health` is (status, time). `lost`: its
    node is not connected, so this is how it was seen last."""

    id: str
    node_id: str
    container_id: str
    name: str
    service: tuple[str, str] | None
    service_id: str | None
    instance_number: int | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    details: Details
    lost: bool = False
    health: tuple[str, datetime] | None = None

    @property
    def status(self) -> str:
        """One word for people: the first that is true."""
        state = self.details.state
        if self.lost:
            return "lost"
        words = ("paused", "restarting", "dead", "running", "oom_killed")
        return next((word for word in words if getattr(state, word)), "stopped")


def without_secrets(env: Sequence[str], names: Collection[str]) -> tuple[str, ...]:
    """The variables that are not named like a secret."""
    return tuple(entry for entry in env if entry.partition("=")[0] not in names)


def number(labels: Mapping[str, str], name: str) -> int | None:
    """A numeric label; None when it is missing or odd."""
    text = labels.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
