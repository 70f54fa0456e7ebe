"""Whose log lines and events a request is about."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogScope:
    """Log lines of a grid; None means no restriction, an empty set nothing at all.

    `stack` is resolved anew with each look, so that a follower sees services that come later.
    """

    grid_id: str
    grid: str
    service_ids: frozenset[str] | None = None
    node_ids: frozenset[str] | None = None
    container_names: frozenset[str] | None = None
    container_id: str | None = None
    stack: str | None = None

    @property
    def empty(self) -> bool:
        """Whether a filter names nothing that exists."""
        return frozenset() in (self.service_ids, self.node_ids, self.container_names)


@dataclass(frozen=True, slots=True)
class EventScope:
    """Events of a grid; None means no restriction, an empty set nothing at all."""

    grid_id: str
    grid: str
    service_ids: frozenset[str] | None = None
    node_ids: frozenset[str] | None = None
    stacks: frozenset[str] | None = None

    @property
    def empty(self) -> bool:
        """Whether a filter names nothing that exists."""
        return frozenset() in (self.service_ids, self.node_ids, self.stacks)


def names(text: str) -> tuple[str, ...] | None:
    """The names of a comma separated filter, None when it was not given."""
    found = tuple(part for part in (piece.strip() for piece in text.split(",")) if part)
    return found if text else None
