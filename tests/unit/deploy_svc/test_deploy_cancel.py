"""What canceling a deploy does in each phase (domain/deploy_cancel.py)."""

from services.deploy_svc.domain.reconcile import Redeploy
from services.deploy_svc.domain.service_spec import DeployOpts
from tests.support.cluster import Cluster, make_nodes, make_service
from tests.support.cluster_events import disturb


def deployed() -> Cluster:
    """Three nodes that run the first revision, and a second one that is asked for."""
    cluster = Cluster(make_service(instances=3, deploy_opts=DeployOpts(min_health=0.5)), make_nodes(3))
    cluster.deploy()
    cluster.run()
    cluster.update(image="app:2")
    cluster.deploy()
    return cluster


def images(cluster: Cluster) -> list[str]:
    return [item.pod.image for _, item in sorted(cluster.instances.items()) if item.pod]


def reason(cluster: Cluster) -> str:
    cluster.cancel()
    return str(cluster.deploys[-1].reason)


def test_before_it_began_nothing_is_changed() -> None:
    cluster = deployed()
    assert reason(cluster) == "Canceled by ann@example.org before it began: nothing was changed"
    assert images(cluster) == ["app"] * 3


def test_under_way_what_is_done_stays_and_what_was_begun_goes_back() -> None:
    cluster = deployed()
    cluster.step()
    cluster.obey()
    cluster.step()
    assert images(cluster) == ["app:2", "app:2", "app"]
    revs = [item.deploy_rev for item in cluster.instances.values()]
    told = "Canceled by ann@example.org. Instances: 1 deployed already; 2 as before; 3 not begun"
    assert reason(cluster) == told
    assert images(cluster) == ["app:2", "app", "app"]
    after = [item.deploy_rev for item in cluster.instances.values()]
    assert (after[0], after[1], after[2]) == (revs[0], revs[2], revs[2])
    states = [(item.state, item.error) for item in cluster.deploys[-1].instance_deploys]
    assert states == [("success", None), ("error", "canceled: the instance stays as it was")]


def test_of_a_daemon_the_numbers_that_it_has_are_told() -> None:
    cluster = Cluster(make_service(strategy="daemon", deploy_opts=DeployOpts(min_health=0.9)), make_nodes(3))
    cluster.deploy()
    cluster.run()
    del cluster.nodes["n2"], cluster.instances[2]
    cluster.update(image="app:2")
    cluster.deploy()
    cluster.step()
    assert "3 not begun" in reason(cluster)


def test_one_that_is_done_and_not_noticed_yet_counts_as_done() -> None:
    cluster = deployed()
    cluster.step()
    cluster.obey()
    assert "1 deployed already; 2, 3 not begun" in reason(cluster).replace("2 to 3", "2, 3")
    assert images(cluster) == ["app:2", "app", "app"]


def test_new_instances_that_do_not_run_yet_go_away() -> None:
    cluster = Cluster(make_service(instances=2), make_nodes(3))
    cluster.deploy()
    cluster.run()
    cluster.change(instances=5)
    cluster.deploy()
    for number in (1, 2, 3):
        cluster.step()
        cluster.report(number)
    told = reason(cluster)
    assert sorted(cluster.instances) == [1, 2, 3]
    assert "1 to 3 deployed already" in told
    assert "4 to 5 gone, as they did not run yet" in told


def test_a_first_deploy_leaves_a_service_as_it_was_made() -> None:
    cluster = Cluster(make_service(instances=2), make_nodes(3))
    cluster.deploy()
    cluster.step()
    cluster.cancel()
    assert (cluster.instances, cluster.service.state) == ({}, "initialized")


def test_an_instance_on_its_way_to_another_node_stays_where_it_is() -> None:
    cluster = Cluster(make_service(instances=1, deploy_opts=DeployOpts(min_health=0.0)), make_nodes(2))
    cluster.deploy()
    cluster.run()
    home = cluster.instances[1].node_id
    assert home is not None
    cluster.affinity = (f"node!={home}",)
    cluster.deploy()
    cluster.step()
    assert cluster.instances[1].desired_state == "stopped"
    assert "1 as before" in reason(cluster)
    assert (cluster.instances[1].node_id, cluster.instances[1].desired_state) == (home, "running")


def test_one_that_was_stopped_elsewhere_goes_on() -> None:
    cluster = Cluster(make_service(instances=1, deploy_opts=DeployOpts(min_health=0.0)), make_nodes(2))
    cluster.deploy()
    cluster.run()
    home = cluster.instances[1].node_id
    cluster.affinity = (f"node!={home}",)
    cluster.deploy()
    cluster.step()
    cluster.obey()
    cluster.step()
    assert "1 still going on" in reason(cluster)
    assert cluster.instances[1].node_id != home


def test_a_canceled_service_is_kept_running_all_the_same() -> None:
    cluster = deployed()
    cluster.step()
    cluster.cancel()
    cluster.obey()
    lost = cluster.instances[1].node_id
    assert lost is not None
    assert not isinstance(cluster.reconcile(), Redeploy)
    disturb(cluster, "remove", int(lost.removeprefix("n")))
    assert isinstance(cluster.reconcile(), Redeploy)
