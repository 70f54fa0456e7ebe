"""What the instances of this node share."""

import asyncio
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from agent.domain.labels import InstanceKey
from agent.files import Files
from agent.runtime.config import GridNetwork, NodeIdentity, grid_network
from agent.runtime.ports import Container, Runtime
from agent.state import State
from agent.streams.reporter import Reporter
from kontena.deploy.v1 import assignment_pb2 as pb
from services.kernel.logs import get_logger

log = get_logger(__name__)

Severity = Literal["debug", "info", "warn", "error"]
PORT_WAIT_SECONDS = 300.0
SETTLE_SECONDS = 0.5
DRAIN_SECONDS = 3.0


class LogKeeper(Protocol):
    """Collects container logs."""

    def follow(self, container_id: str) -> None:
        """Collect the log of this container; nothing happens when that is going on."""

    async def drained(self, container_id: str) -> None:
        """Returns once the log of a stopped container was read to its end, or after a while."""

    def add(self, container: Container, stream: str, lines: Sequence[bytes], hook: str) -> None:
        """Put lines into the container's log that it has not written itself."""


class Oneshots(Protocol):
    """Knows which one-shot hooks may still run."""

    async def started(self, instance_id: str, hook_ids: Sequence[str]) -> Collection[str]:
        """Record that these hooks are about to run; returns those that nobody recorded before. Raises MasterNeeded
        when that cannot be known."""


class Removals(Protocol):
    """Knows what this agent is about to remove, so that who needs the room can wait for it."""

    async def of_instance(self, key: InstanceKey, name: str) -> None:
        """Returns once the instance, whose container has the `name`, is gone from this node. Raises NameTaken when it
        is to stay or does not go in time, MasterNeeded when that is not known."""

    async def of_ports(self, ports: frozenset[int]) -> None:
        """Returns once no instance that is being removed publishes one of these node ports, or after a while."""


class NetworkKeeper(Protocol):
    """Keeps the network that the containers of the grid join."""

    async def join(self) -> GridNetwork:
        """The network for a new container; it is there when this returns. Raises AgentError."""

    def started(self) -> None:
        """A container was started on it."""


class NameKeeper(Protocol):
    """Keeps the names that the resolvers of this node answer."""

    def see_instance(self, assignment: pb.Assignment, status: pb.InstanceStatus) -> None:
        """An instance was looked at: names may have to follow."""

    def forget_instance(self, instance_id: str) -> None:
        """An instance left this node."""


class BridgeOnly:
    """The network of a grid that has one on each node alone."""

    def __init__(self, grid: str) -> None:
        self._grid = grid

    async def join(self) -> GridNetwork:
        return GridNetwork(grid_network(self._grid))


class EventSink(Protocol):
    """Takes what users want to know about an instance."""

    def put(self, key: InstanceKey, severity: Severity, kind: str, message: str) -> None:
        """`kind` is a type of docs/spec/orchestration.md section 8.10; the message holds no secret value."""


class LoggedEvents:
    """Events of a node whose master does not take them."""

    def put(self, key: InstanceKey, severity: Severity, kind: str, message: str) -> None:
        log.info(
            "instance event", instance=f"{key.service_id}/{key.number}", severity=severity, kind=kind, text=message
        )


@dataclass(frozen=True, slots=True)
class Site:
    """`removals` makes room for what is new; `port_wait` is how many seconds one may take to open its port, `settle`
    how many it must stay up where no port is waited for, `drain` how many one runs on beside its successor; `pulled`
    hears the ids of images that were brought onto the node; `files` has those of containers. `starts` is held while a
    container is made and started: an engine that starts all of a node's containers at once has the first one ready
    hardly before the last one."""

    runtime: Runtime
    reporter: Reporter
    state: State
    logs: LogKeeper
    oneshots: Oneshots
    removals: Removals
    events: EventSink
    port_wait: float = PORT_WAIT_SECONDS
    settle: float = SETTLE_SECONDS
    drain: float = DRAIN_SECONDS
    pulled: Callable[[str], None] = lambda _: None
    network: NetworkKeeper | None = None
    names: NameKeeper | None = None
    files: Files = field(default_factory=Files)
    starts: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(max(4, os.cpu_count() or 1)))

    async def grid_network(self) -> GridNetwork:
        """The network for a new container of the grid."""
        return await (self.network or BridgeOnly(self.identity().grid)).join()

    def tell_start(self) -> None:
        """Tell the network that a container was started."""
        if self.network is not None:
            self.network.started()

    def report(self, assignment: pb.Assignment, status: pb.InstanceStatus) -> None:
        """Tell the names of this node and the master how an instance is."""
        if self.names is not None:
            self.names.see_instance(assignment, status)
        self.reporter.put(status)

    def forget(self, instance_id: str) -> None:
        """The instance is no longer this node's."""
        if self.names is not None:
            self.names.forget_instance(instance_id)
        self.reporter.forget(instance_id)

    def identity(self) -> NodeIdentity:
        """Who new containers belong to. Only called once the node is known."""
        node = self.state.node
        assert node is not None, "assignments arrive after the node is known"  # noqa: S101
        return NodeIdentity(node.id, node.name, node.grid)
