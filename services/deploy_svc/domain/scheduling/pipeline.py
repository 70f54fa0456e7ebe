"""Filters in order, then a strategy (docs/spec/orchestration.md section 1)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from random import Random
from types import MappingProxyType

from services.deploy_svc.domain.instance_numbers import filled
from services.deploy_svc.domain.scheduling import explain
from services.deploy_svc.domain.scheduling.affinity_rule import names_instances
from services.deploy_svc.domain.scheduling.explain import CannotPlace, Refusal
from services.deploy_svc.domain.scheduling.filters.affinity import Affinity
from services.deploy_svc.domain.scheduling.filters.availability import Availability
from services.deploy_svc.domain.scheduling.filters.base import Filter
from services.deploy_svc.domain.scheduling.filters.cpu import Cpu
from services.deploy_svc.domain.scheduling.filters.dependency import Dependency
from services.deploy_svc.domain.scheduling.filters.ephemeral import Ephemeral
from services.deploy_svc.domain.scheduling.filters.memory import Memory
from services.deploy_svc.domain.scheduling.filters.port import Port
from services.deploy_svc.domain.scheduling.filters.room import Room
from services.deploy_svc.domain.scheduling.filters.volume_instance import VolumeInstance
from services.deploy_svc.domain.scheduling.filters.volume_plugin import VolumePlugin
from services.deploy_svc.domain.scheduling.reasons import Reason, of_placement
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Placement, Recorded
from services.deploy_svc.domain.scheduling.strategies.base import NothingChosen, Strategy
from services.deploy_svc.domain.scheduling.strategies.daemon import Daemon, lowest
from services.deploy_svc.domain.scheduling.strategies.ha import Ha
from services.deploy_svc.domain.scheduling.strategies.random import Random as RandomStrategy
from services.deploy_svc.domain.service import Service

FILTERS: tuple[Filter, ...] = (
    Availability(),
    Ephemeral(),
    VolumePlugin(),
    VolumeInstance(),
    Affinity(),
    Port(),
    Room(),
    Cpu(),
    Memory(),
    Dependency(),
)
STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {strategy.name: strategy for strategy in (Ha(), Daemon(), RandomStrategy())}
)


@dataclass(slots=True)
class Scheduler:
    """Places instances of one service, one after the other; remembers what it placed in this run.

    `nodes` are all nodes of the grid. Candidates are the connected ones; the others count only as homes of instances.
    `departed` is as in Placement.
    """

    service: Service
    nodes: Sequence[NodeView]
    affinity: tuple[str, ...] = ()
    memory_need: float = 0.0
    scheduled: dict[int, str] = field(default_factory=dict)
    departed: bool = True
    _kept: tuple[NodeView, ...] | None = None
    _passing: Mapping[str, NodeView] | None = None
    _refused: tuple[Refusal, ...] = ()
    _own: dict[str, set[int]] = field(default_factory=dict)
    _homes: dict[int, NodeView] = field(default_factory=dict)
    _labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _label_sets: Collection[tuple[str, ...]] = frozenset()

    def __post_init__(self) -> None:
        self._index()

    @property
    def strategy(self) -> Strategy:
        return STRATEGIES[self.service.spec.strategy]

    def schedule(self, number: int, rng: Random | None = None) -> NodeView:
        """The node for instance `number`. Raises CannotPlace. Without `rng` ties are broken by node number."""
        placement = self._placement(number)
        kept, refused = self._survivors(placement)
        home = self._homes.get(number)
        try:
            node = self.strategy.choose(placement, kept, home, rng)
        except NothingChosen as error:
            raise explain.none_chosen(placement.path, self.strategy.name, str(error), refused, self._away()) from None
        self.scheduled[number] = node.id
        return node

    def reasons(self, number: int) -> tuple[Reason, ...]:
        """Why instance `number` went where this run placed it, asked before anything else is placed."""
        node_id = self.scheduled[number]
        before = {other: home for other, home in self.scheduled.items() if other != number}
        placement = replace(self._placement(number), scheduled=before)
        return of_placement(placement, next(node for node in self.nodes if node.id == node_id), self.strategy)

    def put(self, number: int, node_id: str) -> NodeView:
        """That node, for an instance that shall go there and nowhere else. Raises CannotPlace."""
        if not self.permits(number, node_id):
            name = next((node.name for node in self.nodes if node.id == node_id), node_id)
            raise CannotPlace(self._placement(number).path, f"node {name} cannot take it any more")
        self.scheduled[number] = node_id
        return next(node for node in self.nodes if node.id == node_id)

    def permits(self, number: int, node_id: str) -> bool:
        """Whether the filters let instance `number` be on that node. Asked for each instance, of grids with many nodes:
        what is the same for all of them is found out once."""
        placement = self._placement(number)
        varying = [item for item in FILTERS if item.varies(placement)]
        if not all(item.alone for item in varying):
            return node_id in self.allowed(number)
        node = self._common().get(node_id)
        return node is not None and all(item.check(placement, (node,)).kept for item in varying)

    def allowed(self, number: int) -> list[str]:
        """The nodes, by id, that the filters leave for instance `number`."""
        try:
            return [node.id for node in self._survivors(self._placement(number))[0]]
        except CannotPlace:
            return []

    def varies(self) -> bool:
        """Whether the filters may answer differently for each instance number."""
        return self._varies(self._placement(0))

    def numbers(self) -> Sequence[int]:
        """Numbers of the instances that the service wants on the nodes that can take some (section 1.2), in order.

        Where each node has its own, those keep their numbers: that another node leaves or comes is no reason to
        replace them (docs/adr/0138). With data they are wanted also while their node can take nothing.
        """
        wanted, count = self.service.spec.instances, self.strategy.instance_count
        if count(1, wanted) == count(2, wanted):
            return range(1, count(0, wanted) + 1)
        candidates = self._candidates()
        eligible = self._eligible(candidates, count(len(candidates), wanted))
        homes = self._own if self.service.spec.stateful else eligible
        kept = {number for node_id in homes for number in lowest(self._own.get(node_id, ()), wanted)}
        return filled(kept, max(count(len(eligible), wanted), len(kept)))

    def _eligible(self, candidates: tuple[NodeView, ...], most: int) -> set[str]:
        """The nodes that pass the filters for one of the instance numbers up to `most`, or for one that is there."""
        if not all(item.alone for item in FILTERS if item.varies(self._placement(1))):
            return self._eligible_one_by_one(candidates, most)
        return {node.id for node in self._common().values() if self._takes_some(node)}

    def _common(self) -> Mapping[str, NodeView]:
        """The nodes, by id, that pass the filters which are the same for every instance number."""
        if self._passing is None:
            anyone, kept = self._placement(0), self._candidates()
            try:
                for item in FILTERS:
                    kept = kept if item.varies(anyone) else item.check(anyone, kept).kept
            except CannotPlace:
                kept = ()
            self._passing = {node.id: node for node in kept}
        return self._passing

    def _takes_some(self, node: NodeView) -> bool:
        """Whether the node takes an instance that is nowhere yet, or one that is recorded on it."""
        own = lowest(self._own.get(node.id, ()), self.service.spec.instances)
        varying = [item for item in FILTERS if item.varies(self._placement(0))]
        return any(all(item.check(self._placement(number), (node,)).kept for item in varying) for number in (0, *own))

    def _eligible_one_by_one(self, candidates: tuple[NodeView, ...], most: int) -> set[str]:
        eligible: set[str] = set()
        for number in sorted({*range(1, most + 1), *self._homes}):
            with suppress(CannotPlace):
                eligible |= {node.id for node in self._survivors(self._placement(number))[0]}
            if len(eligible) == len(candidates):
                break
        return eligible

    def why_none(self) -> CannotPlace:
        """Why instance 1 cannot be placed; for the case that the total is zero."""
        placement = self._placement(1)
        try:
            self._survivors(placement)
        except CannotPlace as error:
            return error
        return CannotPlace(placement.path, "no node can take an instance")

    def show(self, nodes: Iterable[NodeView]) -> None:
        """Look at these nodes from now on."""
        self.nodes = list(nodes)
        self._kept = self._passing = None
        self._index()

    def reserve(self, node_id: str, number: int) -> None:
        """The next instance must see this one where its ports, or rules about services, depend on it."""
        service = self.service
        ports = service.spec.node_ports
        if ports or names_instances(self.affinity):
            self.record(node_id, Recorded(service.id, f"{service.stack}/{service.name}", number, ports))

    def record(self, node_id: str, item: Recorded) -> None:
        """Learn that an instance is on a node now."""
        self.show(node.with_recorded(item) if node.id == node_id else node for node in self.nodes)

    def _index(self) -> None:
        """Where instances of the service are: asked for each instance and each node."""
        self._own, self._homes = {}, {}
        self._labels = {node.id: node.labels for node in self.nodes}
        self._label_sets = frozenset(self._labels.values())
        for node in self.nodes:
            for number in node.numbers(self.service.id) if node.recorded else ():
                self._own.setdefault(node.id, set()).add(number)
                self._homes.setdefault(number, node)

    def _placement(self, number: int) -> Placement:
        scheduled = MappingProxyType(self.scheduled)
        return Placement(
            self.service,
            number,
            self.affinity,
            self.memory_need,
            scheduled,
            self._own,
            self._labels,
            self._label_sets,
            self.departed,
        )

    def _candidates(self) -> tuple[NodeView, ...]:
        return tuple(node for node in self.nodes if node.connected)

    def _away(self) -> tuple[str, ...]:
        return tuple(node.name for node in self.nodes if not node.connected)

    @staticmethod
    def _varies(placement: Placement) -> bool:
        return any(item.varies(placement) for item in FILTERS)

    def _survivors(self, placement: Placement) -> tuple[tuple[NodeView, ...], tuple[Refusal, ...]]:
        """What the filters leave; remembered while it is the same for every instance number."""
        if self._kept is not None and not self._varies(placement):
            return self._kept, self._refused
        kept, refused = survivors(placement, self._candidates(), self._away())
        if not self._varies(placement):
            self._kept, self._refused = kept, refused
        return kept, refused


def survivors(
    placement: Placement, nodes: Sequence[NodeView], away: Sequence[str] = ()
) -> tuple[tuple[NodeView, ...], tuple[Refusal, ...]]:
    """The nodes that pass all filters, and why the others did not. Raises CannotPlace when none is left.

    `away` are names of nodes that could not be asked.
    """
    if not nodes:
        raise explain.no_nodes(placement.path)
    kept: tuple[NodeView, ...] = tuple(nodes)
    refused: tuple[Refusal, ...] = ()
    for item in FILTERS:
        verdict = item.check(placement, kept)
        kept, refused = verdict.kept, (*refused, *verdict.refused)
        if not kept:
            raise explain.emptied(placement.path, item.name, refused, away)
    return kept, refused


def effective_affinity(service: Service, grid_default: tuple[str, ...]) -> tuple[str, ...]:
    """The service's own rules, else those of its grid; never both."""
    return service.spec.affinity or grid_default
