"""What the agent needs of a container engine."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.domain.labels import InstanceKey
from agent.domain.log_frames import Frame, Position
from agent.runtime.inspection import Inspection

# The engine's own JSON for creating a container.
CreateBody = Mapping[str, Any]
# Takes what a command writes: stdout or stderr, and the bytes.
Output = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the engine sees it. Times are nanoseconds since the epoch, 0 when it never started."""

    id: str
    name: str
    image_id: str
    labels: Mapping[str, str]
    running: bool
    # Of its first process; 0 when it does not run.
    pid: int = 0
    restarting: bool = False
    started_at_ns: int = 0
    finished_at_ns: int = 0
    exit_code: int = 0
    # Whether it ended because it had used up its memory.
    oom_killed: bool = False
    # Why it cannot be started; one with such a reason is made anew.
    start_error: str = ""
    # Its process was halted by hand; it counts as running all the same.
    paused: bool = False
    # Whether the engine starts it by itself; none of ours wants that.
    restart_policy: str = ""
    # The aliases it has on each network.
    networks: Mapping[str, Collection[str]] = field(default_factory=dict)
    # Address on the engine's network, or of the container whose network it shares; empty without one (host network,
    # not running).
    address: str = ""
    # The engine's volumes by the path they are mounted at.
    volumes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """A container of a list: what can be told without asking for each."""

    id: str
    name: str
    labels: Mapping[str, str]
    running: bool
    networks: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Resync:
    """Events may have been missed: look at everything."""


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    """What happened to a container with our labels, in the engine's word: `start`, `die`, `destroy`, `rename` …"""

    action: str
    container_id: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Driver:
    """A plugin of the engine."""

    name: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the engine tells of itself and its machine."""

    id: str
    os: str
    kernel_version: str
    storage_driver: str
    root_dir: str
    version: str
    mem_total: int
    cpus: int
    network_drivers: Sequence[Driver] = ()
    volume_drivers: Sequence[Driver] = ()
    labels: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Login:
    """Credentials for the registry of an image."""

    username: str
    password: str
    email: str = ""

    def __repr__(self) -> str:
        return f"Login(username={self.username!r})"


@dataclass(frozen=True, slots=True)
class Image:
    """An image on the node. `pulled`: it was not there before. `problem`: why it is the copy that was there before and
    not what the registry has now, empty when it was asked. `volumes` are the paths at which it wants volumes."""

    id: str
    pulled: bool = False
    problem: str = ""
    volumes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class NamedVolume:
    """A volume that outlives containers."""

    name: str
    driver: str
    driver_opts: Mapping[str, str]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Member:
    """A running container on a network, and the addresses that the engine gave it there."""

    container_id: str
    mac: str
    address: str


@dataclass(frozen=True, slots=True)
class OverlayNetwork:
    """The engine's network for the containers of a grid, with this node's `block` of the grid's subnet or one of its
    own. `former_bridges` are those of networks that the grid had on this node before, while containers run on them."""

    name: str
    block: str = ""
    former_bridges: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()


class Containers(Protocol):
    """The containers on a node."""

    async def list_all(self, node_ids: Collection[str]) -> list[Listed]:
        """All containers, running or not, that carry one of the node ids."""

    async def image_ids(self) -> set[str]:
        """Ids of the images of all containers on the node, whosever they are."""

    async def find(self, key: InstanceKey, kind: str, node_ids: Collection[str]) -> list[Container]:
        """The containers of one instance of type `kind`, newest first."""

    async def inspect(self, name_or_id: str) -> Container | None:
        """One container, None when there is none."""

    async def create(self, name: str, body: CreateBody) -> str:
        """Create a container and return its id."""

    async def rename(self, container_id: str, name: str) -> None:
        """Give a container another name."""

    async def forbid_restarts(self, container_id: str) -> None:
        """Keep the engine from starting it by itself."""

    async def unpause(self, container_id: str) -> None:
        """Let it go on."""

    async def start(self, container_id: str) -> None:
        """Start it; nothing happens when it runs."""

    async def stop(self, container_id: str, grace: int) -> None:
        """Signal it, kill it after `grace` seconds; nothing happens when it does not run or is gone."""

    async def restart(self, container_id: str, grace: int) -> None:
        """Stop it with grace and start it."""

    async def remove(self, container_id: str, *, volumes: bool) -> None:
        """Remove it, running or not, with its anonymous volumes when asked. Returns when it is gone, whoever removed
        it."""

    async def wait(self, container_id: str) -> int:
        """Exit code of a container, once it has stopped. Has no deadline."""

    async def execute(self, container_id: str, command: Sequence[str], output: Output) -> int:
        """Run a command in a running container; returns its exit code. Has no deadline."""


class Images(Protocol):
    """The images on a node."""

    async def ensure(self, image: str, rev: str, login: Login | None) -> Image:
        """The image, pulled once per rollout `rev`; when that fails, of the copy this node has. Raises
        ImageUnavailable when there is neither."""

    async def remove(self, image_id: str) -> bool:
        """Whether the image needs no care any more: it was removed or is gone, or somebody gave it a second name. False
        when a container uses it."""


class Networks(Protocol):
    """The networks that containers of a node share."""

    async def ensure(self, name: str, labels: Mapping[str, str]) -> None:
        """Make the network unless it exists. Containers on it find each other by the aliases of their endpoints."""

    async def ensure_overlay(
        self, grid: str, block: str, gateway: str, bridge: str, mtu: int, *, local_bridge: str
    ) -> OverlayNetwork:
        """Make the network of a grid with `block` unless it exists. Another network of the grid makes room for it when
        no container runs on it; else it stays as it is, and new containers join the new one. `local_bridge`: that of
        the network which the node had by itself."""

    async def ensure_local(self, grid: str, bridge: str) -> OverlayNetwork:
        """The same for a node by itself, whose block the engine chooses."""

    async def connect(self, container_id: str, network: str, aliases: Collection[str]) -> None:
        """Put it on a network, where it is found by these names."""

    async def disconnect(self, container_id: str, network: str) -> None:
        """Take it off a network."""


class Volumes(Protocol):
    """The volumes on a node."""

    async def ensure(self, volume: NamedVolume) -> None:
        """Make the volume unless it exists. Raises ConfigInvalid when there is one with another driver."""

    async def remove(self, name: str, node_ids: Collection[str]) -> None:
        """Remove a volume of the grid with its data; nothing happens when there is none that carries one of the node
        ids. Raises EngineRefused while a container uses it."""

    async def labels_of(self, name: str) -> Mapping[str, str] | None:
        """The labels of a volume, None when there is none of this name."""

    async def find(self, key: InstanceKey, node_ids: Collection[str]) -> list[str]:
        """Names of the volumes that were made for the data of one instance."""

    async def delete(self, name: str) -> None:
        """Remove a volume with its data, whosever it is; nothing happens when it is gone. Raises EngineRefused while a
        container uses it."""


class Probes(Protocol):
    """Looks at containers over the network."""

    async def connect(self, address: str, port: int, seconds: float) -> str:
        """Why a container at `address` accepts no TCP connection within `seconds`; empty when it does."""

    async def http_status(self, address: str, port: int, uri: str, seconds: float) -> int | str:
        """How a container answers a GET, redirects not followed; without an answer within `seconds`, why not."""


class Runtime(Protocol):
    """A container engine, by parts. Every method has a deadline of its own and raises EngineUnreachable when the engine
    does not answer in time, EngineRefused when it answers with an error."""

    name: str

    @property
    def containers(self) -> Containers: ...

    @property
    def images(self) -> Images: ...

    @property
    def networks(self) -> Networks: ...

    @property
    def volumes(self) -> Volumes: ...

    @property
    def probes(self) -> Probes: ...

    @property
    def inspection(self) -> Inspection: ...

    async def info(self) -> EngineInfo:
        """The engine and its machine."""

    def events(self) -> AsyncIterator[ContainerEvent | Resync]:
        """Changes of containers with our labels. Begins with Resync once the engine is listening; ends or raises when
        the connection breaks."""

    def logs(
        self, container_id: str, start: Position, *, follow: bool
    ) -> AbstractAsyncContextManager[AsyncIterator[Frame]]:
        """Frames from `start.since_ns` on, those to skip included; with `follow` until the container stops."""

    async def close(self) -> None:
        """Free the connections."""
