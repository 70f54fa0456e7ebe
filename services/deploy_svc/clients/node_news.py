"""What changes of nodes mean for instances: most mean nothing, as new statistics do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from services.clients.nodes import Node, NodeDirectory
from services.kernel.informer import Change, Delete, Synced, Upsert


@dataclass(frozen=True, slots=True)
class News:
    """`better`: the node may take instances that it could not take; `worse`: it may have to give some away, or was
    lost; `removed`: it is gone for good."""

    kind: Literal["better", "worse", "removed"]
    node_id: str
    grid_id: str


def follow(nodes: NodeDirectory, tell: Callable[[News], None]) -> None:
    """Call `tell` whenever a node changes in a way that matters for placing. It must not block or raise."""
    seen: dict[str, tuple[object, ...]] = {}
    grids: dict[str, str] = {}

    def observe(change: Change[Node]) -> None:
        match change:
            case Upsert(key, node):
                facts = (node.connected, node.availability, node.labels, node.cpus, node.mem_total, node.volume_drivers)
                if seen.get(key) != facts:
                    seen[key], grids[key] = facts, node.grid_id
                    usable = node.connected and node.availability == "active"
                    tell(News("better" if usable else "worse", key, node.grid_id))
            case Delete(key):
                seen.pop(key, None)
                tell(News("removed", key, grids.pop(key, "")))
            case Synced():
                pass

    nodes.informer.on_change(observe)
