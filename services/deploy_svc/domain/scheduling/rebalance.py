"""Which instances would have to move for a service to lie evenly on its nodes, and as few of them as possible. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from services.deploy_svc.domain.scheduling.pipeline import Scheduler
from services.deploy_svc.domain.scheduling.snapshot import NodeView
from services.deploy_svc.domain.scheduling.strategies.ha import ZONE
from services.deploy_svc.domain.service import Service

# One rebalance moves so many at most.
MOST_MOVES = 100
_ALL = "all"


@dataclass(frozen=True, slots=True)
class Move:
    """An instance that would go to a node; `node` and `current` are names."""

    instance_number: int
    node_id: str
    node: str
    current: str


@dataclass(frozen=True, slots=True)
class Rebalance:
    """What moves, and why no more, where something stands in the way."""

    moves: tuple[Move, ...] = ()
    reason: str | None = None


def rebalance(
    service: Service, nodes: Sequence[NodeView], affinity: tuple[str, ...] = (), memory_need: float = 0.0
) -> Rebalance:
    """The moves after which no node has more than `max_per_node`, the values of the label that instances are spread
    over differ by one at most, and then the nodes do: as far as the filters let instances go there.

    `nodes` show all instances of the grid. Data does not move, and nothing leaves a node that is lost or drained: other
    rules decide about those.
    """
    if service.spec.strategy == "daemon":
        return Rebalance(reason="A daemon has as many instances on each node, so there is nothing to move")
    if service.spec.stateful:
        return Rebalance(reason="The instances are stateful: each stays where its data is")
    return _Balance(service, nodes, Scheduler(service, nodes, affinity, memory_need)).found()


# Whether a move from one node to another one makes things better.
_Better = Callable[[str, str], bool]


@dataclass(slots=True)
class _Balance:
    """Moves one instance after the other from where too many are to where the fewest are."""

    service: Service
    nodes: Sequence[NodeView]
    scheduler: Scheduler
    _zone: dict[str, str] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _on: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    _in: Counter[str] = field(default_factory=Counter)
    _moved: dict[int, str] = field(default_factory=dict)

    def found(self) -> Rebalance:
        key = self.service.spec.spread or (ZONE if self.service.spec.strategy == "ha" else "")
        for node in self.nodes:
            self._names[node.id] = node.name
            self._zone[node.id] = node.label(key) if key else _ALL
            for number in node.numbers(self.service.id):
                self.scheduler.scheduled[number] = node.id
        for number, node_id in self.scheduled.items():
            self._on[node_id].add(number)
            self._in[self._zone[node_id]] += 1
        while self._one():
            if len(self._moved) == MOST_MOVES:
                return Rebalance(self._moves(), f"At most {MOST_MOVES} instances move at once: ask again then")
        return Rebalance(self._moves())

    @property
    def scheduled(self) -> dict[int, str]:
        """Where each instance is by now."""
        return self.scheduler.scheduled

    def _moves(self) -> tuple[Move, ...]:
        """In the order of the instances."""
        return tuple(
            Move(number, self.scheduled[number], self._names[self.scheduled[number]], self._names[home])
            for number, home in sorted(self._moved.items())
        )

    def _one(self) -> bool:
        """Make one move; False when nothing is left that would make it better."""
        active = [node.id for node in self.nodes if node.connected and node.availability == "active"]
        if not active:
            return False
        fewest = min(len(self._on[node_id]) for node_id in active)
        emptiest = min(self._in[self._zone[node_id]] for node_id in active)
        most = self.service.spec.max_per_node

        def too_many(donor: str, _: str) -> bool:
            return most is not None and len(self._on[donor]) > most

        def evens_values(donor: str, taker: str) -> bool:
            return self._in[self._zone[donor]] - self._in[self._zone[taker]] > 1

        def evens_nodes(donor: str, taker: str) -> bool:
            same = self._zone[donor] == self._zone[taker]
            outweighs = same or self._in[self._zone[donor]] > self._in[self._zone[taker]]
            return outweighs and len(self._on[donor]) - len(self._on[taker]) > 1

        full = [node_id for node_id in active if too_many(node_id, "")]
        heavy = [node_id for node_id in active if self._on[node_id] and self._in[self._zone[node_id]] - emptiest > 1]
        above = [node_id for node_id in active if len(self._on[node_id]) - fewest > 1]
        return any(
            self._move(donors, better)
            for donors, better in ((full, too_many), (heavy, evens_values), (above, evens_nodes))
        )

    def _move(self, donors: Sequence[str], better: _Better) -> bool:
        ordered = sorted(donors, key=lambda node_id: (-self._in[self._zone[node_id]], -len(self._on[node_id])))
        for donor in ordered:
            for number in self._candidates(donor):
                takers = [node_id for node_id in self.scheduler.allowed(number) if better(donor, node_id)]
                takers = [node_id for node_id in takers if node_id != donor]
                if takers:
                    self._go(number, donor, min(takers, key=self._load))
                    return True
        return False

    def _candidates(self, donor: str) -> Iterator[int]:
        """Those that move already first, as that costs nothing; one is enough where the filters know no difference."""
        ordered = sorted(self._on[donor], key=lambda number: (number not in self._moved, -number))
        yield from ordered if self.scheduler.varies() else ordered[:1]

    def _load(self, node_id: str) -> tuple[int, int]:
        return self._in[self._zone[node_id]], len(self._on[node_id])

    def _go(self, number: int, donor: str, taker: str) -> None:
        home = self._moved.setdefault(number, donor)
        self._on[donor].remove(number)
        self._on[taker].add(number)
        self._in[self._zone[donor]] -= 1
        self._in[self._zone[taker]] += 1
        self.scheduled[number] = taker
        if taker == home:
            del self._moved[number]
