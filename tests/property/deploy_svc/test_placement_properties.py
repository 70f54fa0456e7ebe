"""`max_per_node` and `spread`, whatever the nodes and the history are."""

from collections import Counter
from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from services.deploy_svc.domain.scheduling.explain import CannotPlace
from services.deploy_svc.domain.scheduling.pipeline import Scheduler
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Recorded
from services.deploy_svc.domain.service_spec import Strategy
from tests.support.cluster import Cluster, make_nodes, make_service

Homes = dict[int, int]


def grid(zones: list[str], homes: Homes) -> list[NodeView]:
    """One node for each zone; `homes` has the node (from 0) of each instance, as far as there is such a node."""
    return [
        replace(
            node,
            labels=(f"zone={zones[index]}",),
            recorded=tuple(Recorded("s1", "stack/web", number) for number, home in homes.items() if home == index),
        )
        for index, node in enumerate(make_nodes(len(zones)))
    ]


zones = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=7)
homes = st.dictionaries(st.integers(1, 9), st.integers(0, 6), max_size=9)


@given(zones, homes, st.integers(0, 9), st.integers(1, 4), st.sampled_from(["ha", "random"]))
def test_no_node_gets_more_than_it_may(zones: list[str], homes: Homes, wanted: int, most: int, kind: Strategy) -> None:
    scheduler = Scheduler(make_service(strategy=kind, instances=wanted, max_per_node=most), grid(zones, homes))
    refused = ""
    for number in range(1, wanted + 1):
        try:
            scheduler.schedule(number)
        except CannotPlace as error:
            refused = str(error)
            break
    assert max(Counter(scheduler.scheduled.values()).values(), default=0) <= most
    assert not refused or f"max_per_node {most} is reached" in refused
    if not homes:
        assert len(scheduler.scheduled) == min(wanted, most * len(zones))


@given(zones, homes, st.integers(0, 9))
@example(["a", "a", "a", "b"], {1: 3, 2: 3, 3: 0}, 3)
def test_values_of_the_label_differ_by_one_at_most(zones: list[str], homes: Homes, wanted: int) -> None:
    nodes = grid(zones, homes)
    scheduler = Scheduler(make_service(instances=wanted, spread="zone"), nodes)
    for number in range(1, wanted + 1):
        scheduler.schedule(number)
    found = counted(nodes, scheduler.scheduled)
    assert max(found.values()) - min(found.values()) <= 1


@given(zones, st.integers(0, 12), st.integers(1, 3), st.sampled_from(["ha", "random"]))
def test_a_value_without_room_leaves_the_others_even(zones: list[str], wanted: int, most: int, kind: Strategy) -> None:
    nodes = grid(zones, {})
    wanted = min(wanted, most * len(zones))
    scheduler = Scheduler(make_service(strategy=kind, instances=wanted, spread="zone", max_per_node=most), nodes)
    for number in range(1, wanted + 1):
        scheduler.schedule(number)
    found, room = counted(nodes, scheduler.scheduled), {zone: most * zones.count(zone) for zone in zones}
    with_room = [number for zone, number in found.items() if number < room[zone]]
    for zone, number in found.items():
        assert not with_room or number <= min(with_room) + 1, f"{zone} has too many: {found} of {room}"


@given(zones, st.integers(1, 6), st.integers(1, 3))
def test_a_rollout_never_has_more_on_a_node_than_it_may(zones: list[str], wanted: int, most: int) -> None:
    """Also while instances move: the laws look at each step."""
    cluster = Cluster(make_service(instances=wanted), grid(zones, {})[:1])
    cluster.deploy()
    cluster.run()
    cluster.nodes = {node.id: node for node in grid(zones, {})}
    cluster.update(max_per_node=most, spread="zone")
    cluster.deploy()
    cluster.run()
    there = Counter(item.node_id for item in cluster.instances.values())
    assert cluster.deploys[-1].state == ("success" if wanted <= most * len(zones) else "error")
    assert cluster.deploys[-1].state == "error" or max(there.values()) <= most


def counted(nodes: list[NodeView], scheduled: dict[int, str]) -> Counter[str]:
    zone = {node.id: node.label("zone") for node in nodes}
    found = Counter(dict.fromkeys(zone.values(), 0))
    found.update(zone[node_id] for node_id in scheduled.values())
    return found
