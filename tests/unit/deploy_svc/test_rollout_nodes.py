"""The deploy state machine where nodes drain, are lost or never answer (docs/spec/orchestration.md section 2)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.deploy_svc.domain.reconcile import Wait
from services.deploy_svc.domain.scheduling.snapshot import NodeView
from tests.support.cluster import Cluster, make_nodes, make_service


def test_a_moving_instance_stops_on_the_old_node_first() -> None:
    cluster = Cluster(make_service(), make_nodes(1))
    cluster.deploy()
    cluster.run()
    cluster.nodes = {node.id: node for node in [replace(cluster.nodes["n1"], availability="drain"), *make_nodes(2)[1:]]}
    deploy_id = cluster.deploy()
    cluster.step()
    moving = cluster.instances[1]
    rev = cluster.result(deploy_id).deploy_rev
    assert (moving.node_id, moving.desired_state, moving.deploy_rev, moving.rev) == ("n1", "stopped", rev, None)
    cluster.report(1, node_id="n1")
    cluster.step()
    moved = cluster.instances[1]
    assert (moved.node_id, moved.desired_state, moved.rev) == ("n2", "running", None)
    cluster.run()
    assert cluster.result(deploy_id).state == "success"


def test_a_lost_old_node_does_not_keep_an_instance() -> None:
    """MH-29; the warning is in test_rollout_events.py."""
    cluster = Cluster(make_service(), make_nodes(2))
    cluster.deploy()
    cluster.run()
    cluster.lose("n1", 20)
    deploy_id = cluster.deploy()
    cluster.step()
    assert cluster.placed() == {1: "n2"}
    cluster.run()
    assert cluster.result(deploy_id).state == "success"


def test_a_node_that_was_lost_a_moment_ago_may_come_back_before_anything_moves() -> None:
    """A gateway that was restarted cuts all agents off for some seconds."""
    cluster = Cluster(make_service(instances=3, strategy="daemon"), make_nodes(2))
    cluster.deploy()
    cluster.run()
    before = cluster.placed()
    cluster.lose("n1", 5)
    deploy_id = cluster.deploy()
    assert cluster.step().until <= cluster.now + timedelta(seconds=15)
    assert (cluster.result(deploy_id).state, cluster.placed()) == ("created", before)
    cluster.regain("n1")
    cluster.run()
    assert (cluster.result(deploy_id).state, cluster.placed()) == ("success", before)


@pytest.mark.parametrize(("instances", "stateful"), [(1, False), (2, False), (1, True)])
def test_a_node_that_leaves_costs_no_instance_of_a_daemon_elsewhere(instances: int, stateful: bool) -> None:
    cluster = Cluster(make_service(instances=instances, strategy="daemon", stateful=stateful), make_nodes(3))
    cluster.deploy()
    cluster.run()
    others = {number: home for number, home in cluster.placed().items() if home != "n1"}
    # Removed from the grid: its instances are nowhere.
    del cluster.nodes["n1"]
    cluster.instances = {
        number: replace(item, node_id=None if item.node_id == "n1" else item.node_id)
        for number, item in cluster.instances.items()
    }
    cluster.deploy()
    cluster.run()
    assert cluster.placed() == others
    cluster.nodes["n4"] = NodeView("n4", "n4", 4)
    cluster.deploy()
    cluster.run()
    assert {number: home for number, home in cluster.placed().items() if home != "n4"} == others
    assert sorted(cluster.placed()) == list(range(1, 3 * instances + 1)), "with the numbers that were free"
    assert cluster.reconcile() == Wait(None)


@pytest.mark.parametrize("away", ["drained", "lost"])
def test_a_deploy_takes_no_data_of_a_daemon_whose_node_is_away(away: str) -> None:
    cluster = Cluster(make_service(strategy="daemon", stateful=True), make_nodes(3))
    cluster.deploy()
    cluster.run()
    before = cluster.placed()
    if away == "lost":
        cluster.lose("n1", 10_000)
    else:
        cluster.nodes["n1"] = replace(cluster.nodes["n1"], availability="drain")
    deploy_id = cluster.deploy()
    cluster.run()
    assert cluster.placed() == before
    assert "the data of g/stack/web-1 is on node n1" in str(cluster.result(deploy_id).reason)


def test_a_service_that_becomes_a_daemon_leaves_one_on_each_node() -> None:
    cluster = Cluster(make_service(instances=3, stateful=False), make_nodes(1))
    cluster.deploy()
    cluster.run()
    cluster.nodes["n2"] = NodeView("n2", "n2", 2)
    cluster.update(strategy="daemon", instances=1)
    cluster.deploy()
    cluster.run()
    assert cluster.placed() == {1: "n1", 2: "n2"}
    assert cluster.reconcile() == Wait(None)


@pytest.mark.parametrize("strategy", ["ha", "daemon"])
def test_what_somebody_changed_on_a_node_before_the_deploy_may_still_be_on_its_way(strategy: str) -> None:
    cluster = Cluster(make_service(strategy=strategy), make_nodes(1, availability="drain"))
    deploy_id = cluster.deploy()
    assert cluster.step().until <= cluster.now + timedelta(seconds=1)
    assert cluster.result(deploy_id).finished_at is None
    cluster.nodes["n1"] = replace(cluster.nodes["n1"], availability="active")
    cluster.run()
    assert (cluster.result(deploy_id).state, cluster.placed()) == ("success", {1: "n1"})


@pytest.mark.parametrize("strategy", ["ha", "daemon"])
def test_a_new_service_waits_for_the_only_node_to_come_back(strategy: str) -> None:
    cluster = Cluster(make_service(strategy=strategy), make_nodes(1))
    cluster.lose("n1")
    deploy_id = cluster.deploy()
    cluster.step()
    assert cluster.result(deploy_id).finished_at is None
    cluster.regain("n1")
    cluster.run()
    assert cluster.result(deploy_id).state == "success"


def test_a_node_that_is_lost_in_the_middle_is_waited_for_as_well() -> None:
    cluster = Cluster(make_service(instances=2), make_nodes(2))
    cluster.deploy()
    cluster.run()
    before = cluster.placed()
    deploy_id = cluster.deploy()
    cluster.step()
    cluster.obey()
    cluster.lose(str(before[2]))
    cluster.step()
    assert len(cluster.result(deploy_id).instance_deploys) == 1
    cluster.pass_time(20)
    cluster.run()
    assert cluster.result(deploy_id).state == "success"
    assert set(cluster.placed().values()) == {before[1]}


def test_an_old_node_that_goes_away_while_it_stops_does_not_either() -> None:
    cluster = Cluster(make_service(), make_nodes(2))
    cluster.deploy()
    cluster.run()
    cluster.nodes["n1"] = replace(cluster.nodes["n1"], availability="drain")
    cluster.deploy()
    cluster.step()
    cluster.lose("n1")
    cluster.step()
    assert cluster.placed() == {1: "n2"}


def test_an_old_node_that_never_answers_is_waited_for_five_minutes_only() -> None:
    cluster = Cluster(make_service(), make_nodes(2))
    cluster.deploy()
    cluster.run()
    cluster.nodes["n1"] = replace(cluster.nodes["n1"], availability="drain")
    cluster.deploy()
    cluster.step()
    cluster.pass_time(299)
    cluster.step()
    assert cluster.placed() == {1: "n1"}
    cluster.pass_time(1)
    cluster.step()
    assert cluster.placed() == {1: "n2"}


def test_a_node_that_never_reports_fails_the_instance_after_five_minutes() -> None:
    cluster = Cluster(make_service(), make_nodes(1))
    deploy_id = cluster.deploy()
    plan = cluster.step()
    assert plan.until <= cluster.now + timedelta(seconds=300)
    cluster.pass_time(300)
    cluster.step()
    assert cluster.result(deploy_id).instance_deploys[0].error == "Timeout::Error: no confirmation within 300 seconds"
    assert cluster.result(deploy_id).state == "error"


def test_a_short_absence_of_the_node_does_not_fail_the_instance_but_a_long_one_does() -> None:
    cluster = Cluster(make_service(), make_nodes(1))
    deploy_id = cluster.deploy()
    cluster.step()
    cluster.lose("n1")
    assert cluster.step().until <= cluster.now + timedelta(seconds=20)
    assert cluster.result(deploy_id).state == "ongoing"
    cluster.pass_time(20)
    cluster.step()
    assert (
        cluster.result(deploy_id).instance_deploys[0].error
        == "GridServiceInstanceDeployer::NodeMissingError: node n1 is not connected"
    )


def test_a_removed_node_fails_the_instance_at_once() -> None:
    cluster = Cluster(make_service(), make_nodes(1))
    deploy_id = cluster.deploy()
    cluster.step()
    cluster.nodes = {}
    cluster.step()
    assert (
        cluster.result(deploy_id).instance_deploys[0].error
        == "GridServiceInstanceDeployer::NodeMissingError: node n1 was removed"
    )
