"""Must-hold ideas of the engine that no other test names (docs/must-hold.md)."""

from dataclasses import replace

from services.deploy_svc.domain.scheduling.pipeline import Scheduler
from services.deploy_svc.domain.scheduling.snapshot import MemorySample
from services.deploy_svc.domain.service_spec import Port
from tests.support.cluster import Cluster, make_nodes, make_service


def test_draining_the_only_node_names_the_filter() -> None:
    """MH-2."""
    cluster = Cluster(make_service(), make_nodes(1, availability="drain"))
    deploy_id = cluster.deploy()
    cluster.run()
    reason = str(cluster.result(deploy_id).reason)
    assert "g/stack/web-1" in reason
    assert "availability filter" in reason


def test_daemon_total_counts_eligible_nodes() -> None:
    """MH-3."""
    nodes = [replace(node, labels=("ssd",) if node.number < 3 else ()) for node in make_nodes(3)]
    assert len(Scheduler(make_service(strategy="daemon", instances=3), nodes, ("label==ssd",)).numbers()) == 6


def test_ha_total_does_not_shrink() -> None:
    """MH-4."""
    nodes = [replace(node, labels=("ssd",) if node.number < 3 else ()) for node in make_nodes(3)]
    cluster = Cluster(make_service(instances=3), nodes, ("label==ssd",))
    deploy_id = cluster.deploy()
    cluster.run()
    assert cluster.result(deploy_id).total == 3
    assert set(cluster.placed().values()) == {"n1", "n2"}


def test_a_stateful_instance_of_a_removed_node_may_go_elsewhere() -> None:
    """MH-8."""
    cluster = Cluster(make_service(stateful=True), make_nodes(2))
    cluster.deploy()
    cluster.run()
    home = str(cluster.placed()[1])
    del cluster.nodes[home]
    cluster.instances[1] = replace(cluster.instances[1], node_id=None)
    deploy_id = cluster.deploy()
    cluster.run()
    assert cluster.result(deploy_id).state == "success"
    assert cluster.placed()[1] not in {home, None}


def test_a_redeploy_in_place_never_conflicts_with_itself() -> None:
    """MH-15."""
    service = make_service(ports=(Port(80, 80),), memory=2**30)
    cluster = Cluster(service, make_nodes(1, mem_total=2.0**31, memory=MemorySample(0, 2.0**30, 0, 0)))
    cluster.deploy()
    cluster.run()
    cluster.nodes["n1"] = replace(cluster.nodes["n1"], memory=MemorySample(2.0**31, 0, 0, 0))
    deploy_id = cluster.deploy()
    cluster.run()
    assert cluster.result(deploy_id).state == "success"


def test_an_error_with_state_running_is_an_error() -> None:
    """MH-27."""
    cluster = Cluster(make_service(), make_nodes(1))
    deploy_id = cluster.deploy()
    cluster.step()
    cluster.report(1, error="X")
    cluster.run()
    assert cluster.result(deploy_id).instance_deploys[0].error == "GridServiceInstanceDeployer::ServiceError: X"
