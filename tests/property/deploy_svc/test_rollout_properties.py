"""What must hold for every service, every cluster and every order of events."""

from collections import Counter
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.deploy_svc.domain.rollout_plan import Finish, Place, StopOnOldNode
from services.deploy_svc.domain.scheduling.pipeline import Scheduler
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Recorded
from services.deploy_svc.domain.service import Service
from tests.support.cluster import Cluster, make_service
from tests.support.cluster_events import (
    check,
    cluster_of,
    happen,
    happen_to_node,
    nodes,
    services,
)
from tests.support.laws import refused


def eligible(cluster: Cluster) -> int:
    """How many nodes may take an instance that is nowhere yet, or one that is there."""
    seen = cluster.snapshot()
    candidates = sum(node.connected for node in cluster.nodes.values())
    numbers = range(1, cluster.service.spec.instances * candidates + 1)
    return sum(any(refused(seen, node, number, []) is None for number in numbers) for node in cluster.nodes.values())


@settings(max_examples=150, deadline=None)
@given(services, nodes, st.integers(0, 99))
def test_every_deploy_ends_and_a_second_one_moves_nothing(service: Service, views: list[NodeView], seed: int) -> None:
    cluster = cluster_of(service, views, seed)
    first = cluster.deploy()
    cluster.run()
    check(cluster)
    if cluster.result(first).state == "success":
        copies = eligible(cluster) if service.spec.strategy == "daemon" else 1
        wanted = service.spec.instances * copies
        # Soft rules may keep a daemon off some nodes.
        assert len(cluster.instances) == wanted or (
            len(cluster.instances) < wanted and "~" in str(service.spec.affinity)
        )
        before = cluster.placed()
        second = cluster.deploy()
        cluster.run()
        check(cluster)
        assert cluster.result(second).state == "success"
        assert cluster.placed() == before
        assert not any(isinstance(action, StopOnOldNode) for action in cluster.log)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 9), nodes, st.sampled_from(["ha", "daemon"]), st.integers(0, 99))
def test_a_fresh_service_is_spread_evenly(instances: int, views: list[NodeView], strategy: str, seed: int) -> None:
    """`ha` over zones first and then over the nodes of each zone; `daemon` is the same everywhere."""
    cluster = cluster_of(make_service(instances=instances, strategy=strategy), views, seed)
    takers = {node.id: node.label("az") for node in views if node.connected and node.availability == "active"}
    cluster.deploy()
    cluster.run()
    load = Counter(dict.fromkeys(takers, 0))
    load.update(str(home) for home in cluster.placed().values())
    if strategy == "daemon":
        assert set(load.values()) <= {instances}
        return
    zones: Counter[str] = Counter(dict.fromkeys(takers.values(), 0))
    for node_id, count in load.items():
        zones[takers[node_id]] += count
    assert max(zones.values(), default=0) - min(zones.values(), default=0) <= 1
    for zone in zones:
        inside = [load[node_id] for node_id, there in takers.items() if there == zone]
        assert max(inside) - min(inside) <= 1


@settings(max_examples=150, deadline=None)
@given(services, nodes, st.integers(0, 6), st.integers(0, 99))
def test_a_scaling_touches_what_it_adds_and_nothing_else(
    service: Service, views: list[NodeView], instances: int, seed: int
) -> None:
    cluster = cluster_of(service, views, seed)
    first = cluster.deploy()
    cluster.run()
    if cluster.result(first).state != "success":
        return
    before = dict(cluster.instances)
    last = cluster.scale(instances)
    cluster.run()
    check(cluster)
    stayed = cluster.instances.keys() & before.keys()
    assert {number: cluster.instances[number].deploy_rev for number in stayed} == {
        number: before[number].deploy_rev for number in stayed
    }
    assert {number: cluster.placed()[number] for number in stayed} == {
        number: before[number].node_id for number in stayed
    }
    deploy = cluster.result(last)
    if deploy.state == "success":
        assert sorted(item.instance_number for item in deploy.instance_deploys) == sorted(cluster.instances)


@settings(max_examples=200, deadline=None)
@given(
    services,
    nodes,
    st.dictionaries(st.integers(1, 4), st.integers(1, 6)),
    st.none() | st.integers(1, 2),
    st.floats(0, 2.0**31),
)
def test_what_may_be_on_a_node_is_asked_of_that_node(
    service: Service, views: list[NodeView], homes: dict[int, int], most: int | None, need: float
) -> None:
    """With the answer that a look at all of them gives."""
    service = replace(service, spec=replace(service.spec, max_per_node=most))
    ports = service.spec.node_ports
    there = [
        view.with_recorded(*(Recorded("s1", "stack/web", n, ports) for n, at in homes.items() if at == view.number))
        for view in views
    ]
    scheduler = Scheduler(service, there, service.spec.affinity, need, departed=False)
    for number in range(1, 6):
        permitted = [node.id for node in there if scheduler.permits(number, node.id)]
        assert permitted == scheduler.allowed(number)


EVENTS = [
    "step",
    "obey",
    "deploy",
    "stop",
    "start",
    "report",
    "lose",
    "regain",
    "drain",
    "time",
    "change",
    "scale",
    "late",
]


@settings(max_examples=200, deadline=None)
@given(services, nodes, st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 6)), max_size=40), st.integers(0, 9))
def test_no_order_of_events_keeps_a_deploy_from_ending(
    service: Service, views: list[NodeView], events: list[tuple[str, int]], seed: int
) -> None:
    cluster = cluster_of(service, views, seed)
    cluster.deploy()
    for event, value in events:
        happen(cluster, event, value)
        check(cluster)
    cluster.run(most=2500)
    check(cluster)
    finished = [action.deploy_id for action in cluster.log if isinstance(action, Finish)]
    assert len(finished) == len(set(finished)) == len(cluster.deploys)
    placed = [(action.deploy_id, action.instance_number) for action in cluster.log if isinstance(action, Place)]
    assert len(placed) == len(set(placed)), "an instance was placed twice in one deploy"


@settings(max_examples=150, deadline=None)
@given(services, nodes, st.sets(st.integers(1, 6)), st.sets(st.integers(1, 6)), st.integers(0, 10**6))
def test_nodes_that_misbehave_neither_keep_a_deploy_from_ending_nor_make_it_a_success(
    service: Service, views: list[NodeView], drained: set[int], silent: set[int], seed: int
) -> None:
    """Some nodes are drained before the second deploy, some never say a word again, the others do as they like."""
    cluster = cluster_of(service, views, seed)
    cluster.deploy()
    cluster.run()
    for number in drained:
        happen_to_node(cluster, "drain", f"n{number}")
    cluster.update(image="next")
    last = cluster.deploy()
    chance = Random(seed)
    for _ in range(1000):
        cluster.step()
        check(cluster)
        if cluster.result(last).finished_at:
            return
        cluster.pass_time(chance.choice([0, 1, 30]))
        for number, instance in cluster.instances.items():
            if instance.node_id not in {f"n{silent_one}" for silent_one in silent} and chance.random() < 0.5:
                odd = [
                    {"error": "boom"},
                    {"rev": "0"},
                    *({"state": state} for state in ("stopped", "missing", "restarting")),
                ]
                cluster.report(number, **(chance.choice(odd) if chance.random() < 0.2 else {}))
    raise AssertionError("the deploy did not end")
