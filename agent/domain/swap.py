"""How one container of an instance takes the place of another. Pure: names say how far a swap has come, whoever looks.

    name.next     made, and not in its place yet
    name          the container of the instance
    name.former   stopped, kept until its successor has started

An agent that dies between two steps leaves names and nothing else: `settle` reads from them what is to be done.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.domain import labels
from agent.runtime.ports import Container


def next_name(name: str) -> str:
    """Of a successor that is not in its place yet. No instance has such a name: those end in a number."""
    return f"{name}.next"


def former_name(name: str) -> str:
    """Of a predecessor that may have to come back."""
    return f"{name}.former"


@dataclass(frozen=True, slots=True)
class Settlement:
    """`current` is the container of the instance. `restore`: it must get its name back first. `former` waits for a
    successor that was not started yet. `discard` are not needed any more, in this order."""

    current: Container | None
    former: Container | None = None
    restore: bool = False
    discard: tuple[Container, ...] = ()


def settle(found: Sequence[Container]) -> Settlement:
    """What becomes of the containers of an instance, newest first, while nobody swaps them."""
    former = next((item for item in found if item.name == former_name(own_name(item))), None)
    spares = [item for item in found if item.name == next_name(own_name(item))]
    others = [item for item in found if item is not former and item not in spares]
    # One that has its own name goes before one that somebody renamed or copied.
    others.sort(key=lambda item: item.name != own_name(item))
    current, surplus = (others[0], others[1:]) if others else (None, [])
    if former is None:
        return Settlement(current, discard=(*spares, *surplus))
    if current is None:
        return Settlement(former, restore=True, discard=(*spares, *surplus))
    if current.started_at_ns or current.running:
        return Settlement(current, discard=(*spares, *surplus, former))
    if current.start_error:
        return Settlement(former, restore=True, discard=(*spares, *surplus, current))
    return Settlement(current, former, discard=(*spares, *surplus))


def own_name(container: Container) -> str:
    """The name that the container was made for."""
    return container.labels.get(labels.CONTAINER_NAME) or container.name
