"""Any service on any nodes, what may happen to them, and what must hold all the same."""

from dataclasses import replace
from random import Random

from hypothesis import strategies as st

from services.deploy_svc.domain.scheduling.snapshot import NodeView, Recorded
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import ServiceDeploy
from services.deploy_svc.domain.service_spec import DeployOpts, Port
from tests.support.cluster import Cluster, make_service

LABELS = ["gpu", "ssd", "az=a", "az=b"]
RULES = [
    "label==gpu",
    "label!=~ssd",
    "label==~az=a",
    "node!=n1",
    "node==/n[1-4]/",
    "node==n%s",
    "service!=web",
    "bad",
    "service==db",
    "service!=~proxy",
]
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
        DeployOpts,
        min_health=st.sampled_from([None, 0.0, 0.5, 0.8, 1.0]),
        parallelism=st.sampled_from([None, 1, 3]),
        order=st.sampled_from([None, "start_first"]),
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
    total = (begun[-1].total or 0) if begun else 0
    # Instances of a daemon keep their numbers when others go.
    held = cluster.service.spec.strategy == "daemon" and len(cluster.instances) <= total
    assert held or set(cluster.instances) <= set(range(1, total + 1)) or hopeless(begun[-1])


def hopeless(deploy: ServiceDeploy) -> bool:
    """It could place nothing, so it took nothing away either."""
    return deploy.total == 0 and deploy.state == "error"


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
        "change": lambda: cluster.change(instances=value),
        "scale": lambda: cluster.scale(value),
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


EVENTS = ["step", "obey", "lose", "regain", "drain", "undrain", "time", "join", "reconcile", "late", "update", "remove"]


def disturb(cluster: Cluster, event: str, value: int) -> None:
    node_id = f"n{value}"
    if event == "reconcile":
        cluster.reconcile()
    elif event == "join":
        cluster.nodes.setdefault(node_id, NodeView(node_id, node_id, value, mem_total=2.0**30))
    elif event == "undrain" and node_id in cluster.nodes:
        cluster.nodes[node_id] = replace(cluster.nodes[node_id], availability="active")
    elif event == "update":
        cluster.update(image=f"app:{value}")
    elif event == "remove" and cluster.nodes.pop(node_id, None) is not None:
        for number, instance in cluster.instances.items():
            if instance.node_id == node_id:
                cluster.instances[number] = replace(instance, node_id=None)
    elif event not in {"undrain", "remove"}:
        happen(cluster, event, value)
