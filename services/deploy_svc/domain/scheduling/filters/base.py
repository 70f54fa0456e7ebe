"""What every filter is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.deploy_svc.domain.scheduling.explain import Refusal
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement


@dataclass(frozen=True, slots=True)
class Verdict:
    """The nodes that remain, in the order given, and why the others do not."""

    kept: tuple[NodeView, ...]
    refused: tuple[Refusal, ...] = ()


class Filter(Protocol):
    """Stateless: everything it looks at is in the question and in the nodes.

    `alone` says that each node is judged by itself, and that instance numbers differ only by where they are recorded.
    """

    name: str
    alone: bool

    def varies(self, placement: Placement) -> bool:
        """Whether the verdict can differ between instance numbers of one service."""
        ...

    def check(self, placement: Placement, nodes: Sequence[NodeView]) -> Verdict:
        """Judge the nodes. Raises CannotPlace when the question itself makes no sense."""
        ...


def split(name: str, nodes: Sequence[NodeView], refuse: Callable[[NodeView], str | None]) -> Verdict:
    """Ask `refuse` for the cause to refuse each node (None keeps it); nodes with one cause are told together."""
    kept: list[NodeView] = []
    causes: dict[str, list[str]] = {}
    for node in nodes:
        cause = refuse(node)
        if cause is None:
            kept.append(node)
        else:
            causes.setdefault(cause, []).append(node.name)
    return Verdict(tuple(kept), tuple(Refusal(name, cause, tuple(names)) for cause, names in causes.items()))
