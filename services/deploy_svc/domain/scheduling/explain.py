"""Says in words why an instance cannot be placed: which filter refused which nodes, and what would help."""

from collections.abc import Sequence
from dataclasses import dataclass

_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class Refusal:
    """A filter refused these nodes for this cause."""

    filter: str
    cause: str
    nodes: tuple[str, ...]


class CannotPlace(Exception):
    """No node can take the instance; the message is for the user."""

    def __init__(self, path: str, cause: str, refusals: Sequence[Refusal] = ()) -> None:
        super().__init__(f"Cannot place {path}: {cause}")
        self.path = path
        self.cause = cause
        self.refusals = tuple(refusals)


def no_nodes(path: str) -> CannotPlace:
    """The grid has no node that could be asked."""
    return CannotPlace(path, "no nodes are available, because no node of the grid is connected")


def emptied(path: str, name: str, refusals: Sequence[Refusal], away: Sequence[str] = ()) -> CannotPlace:
    """The filter `name` refused the last nodes; earlier refusals, and nodes that are `away`, are told as well."""
    return CannotPlace(path, f"the {name} filter left no node{_told(refusals, away)}", refusals)


def none_chosen(
    path: str, strategy: str, why: str, refusals: Sequence[Refusal], away: Sequence[str] = ()
) -> CannotPlace:
    """The strategy found none of the remaining nodes right."""
    return CannotPlace(path, f"the {strategy} strategy chose no node: {why}{_told(refusals, away)}", refusals)


def _told(refusals: Sequence[Refusal], away: Sequence[str]) -> str:
    told = [f"{item.filter} refused {_names(item.nodes)}: {item.cause}" for item in refusals]
    told += [f"not connected: {_names(away)}"] if away else []
    return "".join(f"; {text}" for text in told)


def _names(nodes: Sequence[str]) -> str:
    named = ", ".join(nodes[:_MOST_NAMES])
    more = len(nodes) - _MOST_NAMES
    return f"{named} and {more} more" if more > 0 else named
