"""What must hold for every service, every cluster and every order of events."""

from collections import Counter
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.deploy_svc.domain.rollout_plan import Finish, Place, StopOnOldNode
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Recorded
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import ServiceDeploy
from services.deploy_svc.domain.service_spec import DeployOpts, Port
from tests.property.deploy_svc.cluster import Cluster, make_service
from tests.property.deploy_svc.laws import refused

LABELS = ["gpu", "ssd", "az=a", "az=b"]
RULES = ["label==gpu", "label!=~ssd", "label==~az=a", "node!=n1", "node==/n[1-4]/", "node==n%s", "service!=web", "bad"]
RULES += ["service==db", "service!=~proxy"]
NEIGHBOURS = [Recorded("s2", "stack/db", 1, frozenset({80})), Recorded("s3", "stack/proxy", 1, frozenset({443}))]

nodes = st.lists(
    st.builds(
        NodeView,
        id=st.just(""),
        name=st.just(""),
        number=st.just(0),
        labels=st.lists(st.sampled_from(LABELS), unique=True).map(tuple),
        connected=st.sampled_from([True, True, True, False]),
        availability=st.sampled_from(["active", "active", "active", "drain"]),
        mem_total=st.just(2.0**30),
        recorded=st.lists(st.sampled_from([None, None, *NEIGHBOURS]), max_size=2, unique=True).map(
            lambda found: tuple(item for item in found if item)
        ),
    ),
    max_size=6,
).map(lambda views: [replace(view, id=f"n{i}", name=f"n{i}", number=i) for i, view in enumerate(views, 1)])

services = st.builds(
    make_service,
    instances=st.integers(0, 6),
    strategy=st.sampled_from(["ha", "daemon", "random"]),
    stateful=st.booleans(),
    ports=st.sampled_from([(), (), (Port(80, 80),)]),
    affinity=st.lists(st.sampled_from(RULES), max_size=2).map(tuple),
    deploy_opts=st.builds(
        DeployOpts, min_health=st.sampled_from([None, 0.0, 0.5, 0.8, 1.0]), parallelism=st.sampled_from([None, 1, 3])
    ),
)


def cluster_of(service: Service, views: list[NodeView], seed: int) -> Cluster:
    cluster = Cluster(service, views, service.spec.affinity)
    cluster.chance = lambda number: Random(f"{seed}-{number}")
    return cluster


def check(cluster: Cluster) -> None:
    """Holds after every step."""
    if cluster.service.spec.ports:
        taken = [instance.node_id for instance in cluster.instances.values() if instance.node_id]
        assert len(taken) == len(set(taken)), "two instances on one node share a node port"
    for deploy in cluster.deploys:
        assert (deploy.finished_at is None) == (deploy.state in {"created", "ongoing"})
        assert (deploy.reason is not None) == (deploy.state == "error")
        for item in deploy.instance_deploys:
            assert (item.error is not None) == (item.state == "error")
            assert deploy.finished_at is None or item.state in {"success", "error"}
    started = [deploy for deploy in cluster.deploys if deploy.started_at and not deploy.finished_at]
    assert len(started) <= 1, "two deploys of one service run at the same time"
    begun = [deploy for deploy in cluster.deploys if deploy.total is not None]
    assert set(cluster.instances) <= set(range(1, (begun[-1].total or 0) + 1 if begun else 1)) or hopeless(begun[-1])


def hopeless(deploy: ServiceDeploy) -> bool:
    """It could place nothing, so it took nothing away either."""
    return deploy.total == 0 and deploy.state == "error"


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


EVENTS = ["step", "obey", "deploy", "stop", "start", "report", "lose", "regain", "drain", "time", "scale", "late"]


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


def happen(cluster: Cluster, event: str, value: int) -> None:
    if event in {"lose", "regain", "drain"}:
        happen_to_node(cluster, event, f"n{value}")
        return
    states = ["running", "stopped", "missing", "restarting"]
    revs = ["", "0", "2025-01-01 00:00:00.000000 UTC", "9999"]
    {
        "step": cluster.step,
        "obey": cluster.obey,
        "deploy": lambda: (start(cluster), cluster.deploy()),
        "stop": cluster.stop,
        "start": lambda: start(cluster),
        "report": lambda: cluster.report(value, state=states[value % 4]),
        "late": lambda: cluster.report(value, rev=revs[value % 4], error="odd"),
        "time": lambda: cluster.pass_time(value * 60),
        "scale": lambda: cluster.change(instances=value),
    }[event]()


def start(cluster: Cluster) -> None:
    cluster.service = replace(cluster.service, state="running")


def happen_to_node(cluster: Cluster, event: str, node_id: str) -> None:
    if node_id not in cluster.nodes:
        return
    if event == "lose":
        cluster.lose(node_id)
    elif event == "regain":
        cluster.regain(node_id)
    else:
        cluster.nodes[node_id] = replace(cluster.nodes[node_id], availability="drain")
