"""Ordering rules of the strategies: the vectors of docs/spec/orchestration.md section 1.3."""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deploy_svc.domain.scheduling.explain import CannotPlace
from services.deploy_svc.domain.scheduling.pipeline import Scheduler
from services.deploy_svc.domain.scheduling.snapshot import MemorySample, NodeView, Recorded
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_spec import ServiceSpec, Strategy

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def service(strategy: Strategy = "ha", instances: int = 1, *, stateful: bool = False) -> Service:
    spec = ServiceSpec(image="app", stateful=stateful, strategy=strategy, instances=instances)
    return Service("s1", "g1", "g", "stack", "web", spec, "running", 1, None, 0, None, EPOCH, EPOCH)


def grid(
    names: list[str], recorded: dict[int, str] | None = None, zones: dict[str, str] | None = None
) -> list[NodeView]:
    return [
        NodeView(
            id=name,
            name=name,
            number=number,
            labels=(f"az={zones[name]}",) if zones else (),
            recorded=tuple(
                Recorded("s1", "stack/web", instance) for instance, node in (recorded or {}).items() if node == name
            ),
        )
        for number, name in enumerate(names, 1)
    ]


def place_all(subject: Service, nodes: list[NodeView]) -> list[str]:
    scheduler = Scheduler(subject, nodes)
    return [scheduler.schedule(number).name for number in scheduler.numbers()]


def test_a_random_service_spreads_what_is_new_and_moves_nothing() -> None:
    subject = service("random", 4)
    subject = replace(subject, spec=replace(subject.spec, spread="az"))
    nodes = grid(["a1", "a2", "b1"], {1: "a1", 2: "a1"}, {"a1": "a", "a2": "a", "b1": "b"})
    assert place_all(subject, nodes) == ["a1", "a1", "b1", "b1"]


def test_a_full_zone_counts_with_all_that_it_has() -> None:
    """Nodes that can take no more are not asked any more, but what they have is there."""
    subject = service("ha", 2)
    subject = replace(subject, spec=replace(subject.spec, max_per_node=1))
    assert place_all(subject, grid(["a1", "a2", "b1"], zones={"a1": "a", "a2": "a", "b1": "b"})) == ["a1", "b1"]


DAEMON = [
    (1, ["1", "2", "3", "4"], {}, ["1", "2", "3", "4"]),
    (1, ["1", "2", "3", "4"], {1: "1", 2: "2", 3: "3"}, ["1", "2", "3", "4"]),
    # Node 2 is gone: each of the others keeps what it has, with its numbers, which differs from the reference.
    (1, ["1", "3", "4"], {1: "1", 2: "2", 3: "3", 4: "4"}, ["1", "3", "4"]),
    (2, ["1", "3", "4"], {i: str((i - 1) % 4 + 1) for i in range(1, 9)}, ["1", "3", "4", "1", "3", "4"]),
    (3, ["1", "2"], {1: "1", 2: "2"}, ["1", "2", "1", "2", "1", "2"]),
]


@pytest.mark.parametrize(("instances", "nodes", "recorded", "expected"), DAEMON)
def test_daemon_vectors(instances: int, nodes: list[str], recorded: dict[int, str], expected: list[str]) -> None:
    assert place_all(service("daemon", instances), grid(nodes, recorded)) == expected


ZONES = {"a1": "a", "a2": "a", "b1": "b"}
HA = [
    (4, list(ZONES), {}, ZONES, ["a1", "b1", "a2", "b1"]),
    (4, list(ZONES), {1: "a2", 2: "a1", 3: "b1", 4: "b1"}, ZONES, ["a2", "b1", "a1", "b1"]),
    (3, ["n1", "n2", "n3"], {1: "n1", 2: "n2", 3: "n1"}, None, ["n1", "n2", "n3"]),
]


@pytest.mark.parametrize(("instances", "nodes", "recorded", "zones", "expected"), HA)
def test_ha_vectors(
    instances: int, nodes: list[str], recorded: dict[int, str], zones: dict[str, str] | None, expected: list[str]
) -> None:
    assert place_all(service("ha", instances), grid(nodes, recorded, zones)) == expected


def test_ha_prefers_the_node_with_more_free_memory() -> None:
    full = NodeView("a", "a", 1, mem_total=100, memory=MemorySample(90, 10, 0, 0))
    free = NodeView("b", "b", 2, mem_total=100, memory=MemorySample(10, 90, 0, 0))
    assert place_all(service(), [full, free]) == ["b"]


def test_ha_survives_a_node_without_memory_total() -> None:
    assert place_all(service(), [NodeView("a", "a", 1, memory=MemorySample(1, 1, 0, 0))]) == ["a"]


def test_chance_breaks_ties_the_same_way_for_the_same_seed() -> None:
    nodes = grid([f"n{i}" for i in range(20)])
    draws = {Scheduler(service(), nodes).schedule(1, random.Random(seed)).name for seed in range(30)}
    assert len(draws) > 5
    again = [Scheduler(service(), nodes).schedule(1, random.Random("x")).name for _ in range(3)]
    assert len(set(again)) == 1


@pytest.mark.parametrize("strategy", ["ha", "random", "daemon"])
def test_a_stateful_instance_stays_with_its_data_or_nowhere(strategy: Strategy) -> None:
    nodes = grid(["n1", "n2"], {1: "n2"})
    assert place_all(service(strategy, stateful=True), nodes)[0] == "n2"
    lost = [nodes[0], NodeView("n2", "n2", 2, connected=False, recorded=nodes[1].recorded)]
    with pytest.raises(CannotPlace, match=r"g/stack/web-1.*data of .* is on node n2"):
        Scheduler(service(strategy, stateful=True), lost).schedule(1)


def test_a_stateful_instance_whose_node_was_removed_goes_elsewhere() -> None:
    assert place_all(service(stateful=True), grid(["n1"], {1: "gone"})) == ["n1"]


def test_random_keeps_an_instance_where_it_is() -> None:
    nodes = grid(["n1", "n2", "n3"], {1: "n3"})
    assert {Scheduler(service("random"), nodes).schedule(1, random.Random(seed)).name for seed in range(10)} == {"n3"}


def test_random_uses_all_nodes() -> None:
    nodes = grid(["n1", "n2", "n3"])
    drawn = {Scheduler(service("random"), nodes).schedule(1, random.Random(seed)).name for seed in range(50)}
    assert drawn == {"n1", "n2", "n3"}


def test_no_connected_node_is_told_with_the_path() -> None:
    with pytest.raises(CannotPlace, match=r"g/stack/web-1.*no nodes are available"):
        Scheduler(service(), [NodeView("a", "a", 1, connected=False)]).schedule(1)


PLACED = st.lists(st.integers(0, 5), max_size=6)


@given(
    zones=st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=1, max_size=6),
    used=st.lists(st.sampled_from([0, 10, 20]), min_size=6, max_size=6),
    homes=PLACED,
    scheduled=PLACED,
    number=st.integers(1, 7),
    seed=st.integers(0, 3),
)
def test_ha_takes_one_of_those_that_no_other_node_outranks(
    zones: list[str], used: list[int], homes: list[int], scheduled: list[int], number: int, seed: int
) -> None:
    """The zone with the fewest instances, then the node with the fewest, then home, then where the fewest others may
    want to stay, then memory; chance decides among the rest, in the order of the node numbers."""
    recorded = {instance: f"n{home}" for instance, home in enumerate(homes, 1) if home < len(zones)}
    labels = {f"n{index}": zone or "default" for index, zone in enumerate(zones)}
    nodes = [
        replace(node, mem_total=100, memory=MemorySample(used[index], 0, 0, 0))
        for index, node in enumerate(grid(list(labels), recorded, labels))
    ]
    scheduler = Scheduler(service("ha", 7), nodes)
    scheduler.scheduled = {
        instance: f"n{node}" for instance, node in enumerate(scheduled, 1) if node < len(zones) and instance != number
    }
    placed = Counter(scheduler.scheduled.values())
    in_zone = Counter(labels[node_id] for node_id in scheduler.scheduled.values())

    def rank(node: NodeView) -> tuple[object, ...]:
        others = node.numbers("s1") - scheduler.scheduled.keys() - {number}
        at_home = recorded.get(number) == node.id
        return in_zone[labels[node.id]], placed[node.id], not at_home, len(others), used[node.number - 1]

    lowest = min(map(rank, nodes))
    best = [node.name for node in nodes if rank(node) == lowest]
    assert scheduler.schedule(number, random.Random(seed)).name == random.Random(seed).choice(best)
