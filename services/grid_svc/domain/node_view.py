"""What an answer shows of a node: the stored part, and what depends on other objects and on the time."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.grid_svc.domain.grid import Grid
from services.grid_svc.domain.node import Peer


@dataclass(frozen=True, slots=True)
class NodePart:
    """What is kept of a version of a node: its own part of the answer, encoded, and what the rest depends on.

    `error` is what is wrong with its connection, None when it is connected or never was.
    """

    encoded: bytes
    etag: str
    name: str
    node_number: int
    peer: Peer
    error: str | None


@dataclass(frozen=True, slots=True)
class ShownNode:
    """What an answer is put together from. `conflict` says who else tried to be the node a short while ago."""

    part: NodePart
    grid: Grid
    peer_ips: Sequence[str]
    conflict: str | None

    @property
    def connection_error(self) -> str | None:
        """What is wrong with its connection, in words."""
        return self.part.error or self.conflict
