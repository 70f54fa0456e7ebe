"""What a rebalance promises, whatever lies where: held against all other ways to move instances."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from services.deploy_svc.domain.scheduling.rebalance import Rebalance, rebalance
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Recorded
from services.deploy_svc.domain.service import Service
from tests.support.cluster import make_nodes, make_service
from tests.support.cluster_events import cluster_of, happen, nodes, services

Homes = Mapping[int, str]

zones = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4)
homes = st.lists(st.integers(0, 3), max_size=5)
limits = st.sampled_from([None, 1, 2, 3])


def grid(zones: list[str], homes: Homes) -> list[NodeView]:
    return [
        replace(
            node,
            labels=(f"zone={zone}",),
            recorded=tuple(Recorded("s1", "stack/web", number) for number, home in homes.items() if home == node.id),
        )
        for zone, node in zip(zones, make_nodes(len(zones)), strict=True)
    ]


def after(homes: Homes, found: Rebalance) -> dict[int, str]:
    return {**homes, **{move.instance_number: move.node_id for move in found.moves}}


@given(zones, homes, limits)
def test_it_is_even_afterwards_with_the_fewest_moves(zones: list[str], homes: list[int], most: int | None) -> None:
    there = {number: f"n{home % len(zones) + 1}" for number, home in enumerate(homes, 1)}
    service = make_service(instances=len(there), spread="zone", max_per_node=most)
    found = rebalance(service, grid(zones, there))
    result = after(there, found)
    assert all(there[move.instance_number] != move.node_id for move in found.moves)
    if most is not None and len(there) > most * len(zones):
        assert max(Counter(result.values()).values()) <= max(Counter(there.values()).values())
        return
    assert uneven(service, zones, result) is None
    nodes = [f"n{number}" for number in range(1, len(zones) + 1)]
    ways = (dict(zip(there, way, strict=True)) for way in product(nodes, repeat=len(there)))
    least = min(distance(there, way) for way in ways if uneven(service, zones, way) is None)
    assert len(found.moves) == least
    assert rebalance(service, grid(zones, result)) == Rebalance()


def distance(before: Homes, now: Homes) -> int:
    return sum(before[number] != now[number] for number in before)


def uneven(service: Service, zones: list[str], homes: Homes) -> str | None:
    """What could be better, written down without the code of the domain."""
    zone = {f"n{number}": zone for number, zone in enumerate(zones, 1)}
    most = service.spec.max_per_node or len(homes) + 1
    on = Counter(homes.values())
    within = Counter(zone[node] for node in homes.values())
    if any(number > most for number in on.values()):
        return "too many on a node"
    for donor, taker in product(zone, zone):
        if not on[donor] or on[taker] >= most:
            continue
        if within[zone[donor]] - within[zone[taker]] > 1:
            return "the values of the label differ by more than one"
        outweighs = zone[donor] == zone[taker] or within[zone[donor]] > within[zone[taker]]
        if outweighs and on[donor] - on[taker] > 1:
            return "the nodes differ by more than one"
    return None


@given(zones, homes, st.sampled_from(["daemon", "stateful"]))
def test_what_stays_says_why(zones: list[str], homes: list[int], kind: str) -> None:
    there = {number: f"n{home % len(zones) + 1}" for number, home in enumerate(homes, 1)}
    spec = {"strategy": "daemon"} if kind == "daemon" else {"stateful": True}
    found = rebalance(make_service(instances=3, max_per_node=1, **spec), grid(zones, there))
    assert (found.moves, bool(found.reason)) == ((), True)


@given(homes, st.sets(st.integers(0, 3)), st.sets(st.integers(0, 3)))
def test_nothing_leaves_or_enters_a_node_that_is_lost_or_drained(
    homes: list[int], lost: set[int], drained: set[int]
) -> None:
    there = {number: f"n{home + 1}" for number, home in enumerate(homes, 1)}
    nodes = grid(["a"] * 4, there)
    nodes = [
        replace(node, connected=index not in lost, availability="drain" if index in drained else "active")
        for index, node in enumerate(nodes)
    ]
    away = {nodes[index].id for index in lost | drained}
    for move in rebalance(make_service(instances=len(there)), nodes).moves:
        assert there[move.instance_number] not in away
        assert move.node_id not in away


moves = st.dictionaries(st.integers(1, 6), st.integers(1, 6).map("n{}".format), max_size=4)
happenings = st.lists(
    st.tuples(st.sampled_from(["step", "obey", "report", "lose", "regain", "drain", "time"]), st.integers(0, 6)),
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(services, nodes, st.sampled_from([None, None, 1, 2]), moves, happenings)
def test_moves_break_no_law_and_touch_nothing_else(
    service: Service, views: list[NodeView], most: int | None, wanted: Homes, events: list[tuple[str, int]]
) -> None:
    """Whatever somebody asks to move where, and whatever happens meanwhile; the laws look at each step."""
    cluster = cluster_of(replace(service, spec=replace(service.spec, max_per_node=most)), views, 1)
    cluster.deploy()
    cluster.run()
    before = dict(cluster.instances)
    deploy = cluster.deploy(moves=wanted)
    for event, value in events:
        happen(cluster, event, value)
    cluster.run()
    assert cluster.result(deploy).finished_at is not None
    assert set(cluster.instances) == set(before)
    for number in before.keys() - wanted.keys():
        assert cluster.instances[number].node_id == before[number].node_id
        assert cluster.instances[number].deploy_rev == before[number].deploy_rev
    for number in before.keys() & wanted.keys():
        assert cluster.instances[number].node_id in {before[number].node_id, wanted[number]}
