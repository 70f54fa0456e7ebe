"""What a user asks for: checked attributes of a service, with defaults (docs/spec/deploy_rest.md section 4.1)."""

import operator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

Strategy = Literal["ha", "daemon", "random"]
Order = Literal["stop_first", "start_first"]
HookType = Literal["pre_start", "post_start", "pre_stop"]

# Left out of what is stored while it is not set: replicas of the release before, which do not know it, can go on.
UNSET = Field(exclude_if=operator.not_)


@dataclass(frozen=True, slots=True)
class Port:
    """A published port."""

    node_port: int
    container_port: int
    ip: str = "0.0.0.0"  # noqa: S104 -- the documented default.
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRef:
    """A file in the container: its path, permission bits as octal text, and numbers of its owner and group."""

    path: Annotated[str, UNSET] = ""
    mode: Annotated[str, UNSET] = ""
    uid: Annotated[int, UNSET] = 0
    gid: Annotated[int, UNSET] = 0


@dataclass(frozen=True, slots=True)
class SecretRef(FileRef):
    """A vault secret mapped to the environment variable `name`, or to a file when it has a path."""

    secret: str
    name: str

    @property
    def is_file(self) -> bool:
        """Whether it is mapped to a file."""
        return bool(self.path)


@dataclass(frozen=True, slots=True)
class ConfigRef(FileRef):
    """A config of the grid mapped to a file."""

    config: str


@dataclass(frozen=True, slots=True)
class CertificateRef:
    """A grid certificate mapped to an environment variable."""

    subject: str
    name: str


@dataclass(frozen=True, slots=True)
class Link:
    """A link to another service of the grid."""

    stack: str
    service: str
    alias: str


@dataclass(frozen=True, slots=True)
class DeployOpts:
    """Rollout options; None is stored as given and means the default."""

    wait_for_port: int | None = None
    min_health: float | None = 0.8
    interval: int | None = None
    rollback: bool | None = None
    parallelism: Annotated[int | None, UNSET] = None
    order: Annotated[Order | None, UNSET] = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How a running instance is tested: by its port (http, tcp) or a command (exec); seconds."""

    protocol: str
    port: int | None = None
    uri: str | None = "/"
    timeout: int = 10
    initial_delay: int = 10
    interval: int = 60
    cmd: Annotated[tuple[str, ...], UNSET] = ()


@dataclass(frozen=True, slots=True)
class Ulimit:
    """A limit of each process; -1 is unlimited."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class Hook:
    """A command run at a moment of an instance's life. Identity is (type, name)."""

    type: HookType
    name: str
    cmd: str
    instances: str = "*"
    oneshot: bool = False


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """The attributes that reach the node as the user gave them: a service has them, and so have the pods of its
    instances. Tuples keep the order of the request."""

    image: str
    stateful: bool
    user: str | None = None
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    secrets: tuple[SecretRef, ...] = ()
    certificates: tuple[CertificateRef, ...] = ()
    ports: tuple[Port, ...] = ()
    volumes_from: tuple[str, ...] = ()
    cpus: float | None = None
    cpu_shares: int | None = None
    memory: int | None = None
    memory_swap: int | None = None
    shm_size: int | None = None
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    net: str = "bridge"
    log_driver: str | None = None
    log_opts: dict[str, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    pid: str | None = None
    read_only: bool = False
    health_check: HealthCheck | None = None
    stop_signal: str | None = None
    stop_grace_period: int = 10
    ulimits: Annotated[tuple[Ulimit, ...], UNSET] = ()
    labels: Annotated[dict[str, str], UNSET] = field(default_factory=dict)
    tmpfs: Annotated[tuple[str, ...], UNSET] = ()
    sysctls: Annotated[dict[str, str], UNSET] = field(default_factory=dict)
    init: Annotated[bool, UNSET] = False
    extra_hosts: Annotated[tuple[str, ...], UNSET] = ()
    dns_servers: Annotated[tuple[str, ...], UNSET] = ()
    working_dir: Annotated[str | None, UNSET] = None
    group_add: Annotated[tuple[str, ...], UNSET] = ()
    configs: Annotated[tuple[ConfigRef, ...], UNSET] = ()


@dataclass(frozen=True, slots=True)
class ServiceSpec(ContainerSpec):
    """All attributes: those that say where, how often and how instances run, and those that a pod has in another form
    (`entrypoint`, `volumes`, `hooks`)."""

    instances: int = 1
    strategy: Strategy = "ha"
    entrypoint: str | None = None
    links: tuple[Link, ...] = ()
    affinity: tuple[str, ...] = ()
    spread: Annotated[str | None, UNSET] = None
    max_per_node: Annotated[int | None, UNSET] = None
    deploy_opts: DeployOpts = field(default_factory=DeployOpts)
    volumes: tuple[str, ...] = ()
    hooks: tuple[Hook, ...] = ()

    @property
    def node_ports(self) -> frozenset[int]:
        """The node ports that it publishes, which one container of a node can have; 0 is any free one."""
        return frozenset(port.node_port for port in self.ports) - {0}
