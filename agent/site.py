"""What the instances of this node share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agent.domain.labels import InstanceKey
from agent.reporter import Reporter
from agent.runtime.config import NodeIdentity
from agent.runtime.ports import Runtime
from agent.state import State


class LogKeeper(Protocol):
    """Collects container logs."""

    def follow(self, container_id: str) -> None:
        """Collect the log of this container; nothing happens when that is going on."""

    async def drained(self, container_id: str) -> None:
        """Returns once the log of a stopped container was read to its end, or after a while."""


@dataclass(frozen=True, slots=True)
class Site:
    """`is_assigned` tells whether an instance is to exist on this node."""

    runtime: Runtime
    reporter: Reporter
    state: State
    logs: LogKeeper
    is_assigned: Callable[[InstanceKey], bool]

    def identity(self) -> NodeIdentity:
        """Who new containers belong to. Only called once the node is known."""
        node = self.state.node
        assert node is not None, "assignments arrive after the node is known"  # noqa: S101
        return NodeIdentity(node.id, node.name, node.grid)
