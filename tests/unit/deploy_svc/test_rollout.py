"""The deploy state machine, step by step (docs/spec/orchestration.md section 2)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.deploy_svc.domain.rollout.deploy_rev import new_rev
from services.deploy_svc.domain.rollout.in_flight import in_flight_limit
from services.deploy_svc.domain.rollout_plan import Finish, Place, Run, Start, StopOnOldNode
from services.deploy_svc.domain.scheduling.snapshot import NodeView, Recorded
from services.deploy_svc.domain.service_spec import DeployOpts, Hook, Port
from tests.support.cluster import EPOCH, Cluster, make_nodes, make_service

TABLE = {
    0.8: [1, 1, 2, 3, 9, 19],
    0.9: [1, 1, 1, 1, 4, 9],
    0.5: [2, 5, 7, 10, 20, 20],
    0.0: [5, 10, 15, 20, 20, 20],
}


@pytest.mark.parametrize(
    ("health", "total", "limit"),
    [
        (health, total, limit)
        for health, row in TABLE.items()
        for total, limit in zip((5, 10, 15, 20, 50, 100), row, strict=True)
    ],
)
def test_instances_in_transition(health: float, total: int, limit: int) -> None:
    assert in_flight_limit(total, health) == limit


def test_min_health_null_means_the_default() -> None:
    assert in_flight_limit(100, None) == 19


def test_revisions_are_fixed_width_text_and_only_grow() -> None:
    first = new_rev(EPOCH, None)
    assert first == "2026-01-01 00:00:00.000000 UTC"
    assert new_rev(EPOCH, first) == "2026-01-01 00:00:00.000001 UTC"
    assert new_rev(EPOCH - timedelta(days=1), first) > first
    assert new_rev(EPOCH + timedelta(seconds=1), first) == "2026-01-01 00:00:01.000000 UTC"


def test_a_deploy_places_all_instances_and_succeeds() -> None:
    cluster = Cluster(make_service(instances=3), make_nodes(3))
    deploy_id = cluster.deploy()
    cluster.run()
    result = cluster.result(deploy_id)
    assert (result.state, result.reason, result.total) == ("success", None, 3)
    assert [item.state for item in result.instance_deploys] == ["success"] * 3
    assert sorted(cluster.placed().values(), key=str) == ["n1", "n2", "n3"]
    assert {item.service_revision for item in cluster.instances.values()} == {1}


def test_a_success_on_nodes_without_an_engine_says_that_nothing_runs() -> None:
    hollow, real = make_nodes(2)
    cluster = Cluster(make_service(instances=2), [replace(hollow, volume_drivers=("hollow",)), real])
    deploy_id = cluster.deploy()
    cluster.run()
    result = cluster.result(deploy_id)
    assert (result.state, result.reason) == (
        "success",
        "Containers are only pretended: no container engine on node n1",
    )


def test_the_first_instance_starts_in_the_step_that_starts_the_deploy() -> None:
    cluster = Cluster(make_service(), make_nodes(1))
    cluster.deploy()
    assert [type(action) for action in cluster.step().actions] == [Start, Place, Run]


def test_new_instances_of_a_stateless_service_start_all_at_once() -> None:
    cluster = Cluster(make_service(instances=30), make_nodes(3))
    cluster.deploy()
    assert sum(isinstance(action, Run) for action in cluster.step().actions) == 30


@pytest.mark.parametrize("spec", [{"stateful": True}, {"hooks": (Hook("post_start", "seed", "true"),)}])
def test_where_the_order_matters_new_instances_start_one_after_the_other(spec: dict[str, Any]) -> None:
    cluster = Cluster(make_service(instances=3, **spec), make_nodes(3))
    deploy_id = cluster.deploy()
    while not cluster.result(deploy_id).finished_at:
        cluster.step()
        ongoing = [item for item in cluster.result(deploy_id).instance_deploys if item.state == "ongoing"]
        assert len(ongoing) <= 1
        cluster.obey()


@pytest.mark.parametrize(("stateful", "most"), [(False, 3), (True, 3), (False, 1)])
def test_parallelism_says_how_many_are_under_way_at_once(stateful: bool, most: int) -> None:
    opts = DeployOpts(parallelism=most)
    cluster = Cluster(make_service(instances=10, stateful=stateful, deploy_opts=opts), make_nodes(3))
    cluster.deploy()
    assert sum(isinstance(action, Run) for action in cluster.step().actions) == most


def test_min_health_holds_for_replacements_whatever_the_parallelism() -> None:
    cluster = Cluster(make_service(instances=10, deploy_opts=DeployOpts(parallelism=7)), make_nodes(3))
    cluster.deploy()
    cluster.run()
    cluster.deploy()
    assert sum(isinstance(action, Run) for action in cluster.step().actions) == 1


def test_replacements_that_start_first_are_as_many_at_once_as_parallelism_says() -> None:
    opts = DeployOpts(parallelism=7, order="start_first")
    cluster = Cluster(make_service(instances=10, deploy_opts=opts), make_nodes(3))
    cluster.deploy()
    cluster.run()
    cluster.deploy()
    assert sum(isinstance(action, Run) for action in cluster.step().actions) == 7


def test_min_health_holds_for_those_that_start_first_when_nobody_says_how_many() -> None:
    cluster = Cluster(make_service(instances=10, deploy_opts=DeployOpts(order="start_first")), make_nodes(3))
    cluster.deploy()
    cluster.run()
    cluster.deploy()
    assert sum(isinstance(action, Run) for action in cluster.step().actions) == 1


def test_min_health_holds_for_those_that_move_although_they_start_first() -> None:
    opts = DeployOpts(parallelism=7, order="start_first")
    cluster = Cluster(make_service(instances=10, deploy_opts=opts), make_nodes(2))
    cluster.deploy()
    cluster.run()
    assert list(cluster.placed().values()).count("n1") == 5
    cluster.affinity = ("node!=n1",)
    deploy_id, stopped = cluster.deploy(), []
    while not cluster.result(deploy_id).finished_at:
        cluster.step()
        stopped.append(sum(item.desired_state == "stopped" for item in cluster.instances.values()))
        cluster.obey()
    assert max(stopped) == 1
    assert set(cluster.placed().values()) == {"n2"}


def test_one_at_a_time_with_ten_instances_and_the_default_health() -> None:
    cluster = Cluster(make_service(instances=10), make_nodes(3))
    cluster.deploy()
    cluster.run()
    deploy_id = cluster.deploy()
    while not cluster.result(deploy_id).finished_at:
        cluster.step()
        ongoing = [item for item in cluster.result(deploy_id).instance_deploys if item.state == "ongoing"]
        assert len(ongoing) <= 1
        cluster.obey()


def test_twenty_at_most_at_once() -> None:
    cluster = Cluster(make_service(instances=50, deploy_opts=DeployOpts(min_health=0.0)), make_nodes(3))
    cluster.deploy()
    cluster.run()
    cluster.deploy()
    assert sum(isinstance(action, Run) for action in cluster.step().actions) == 20


def test_no_instances_wanted_is_a_success() -> None:
    cluster = Cluster(make_service(instances=1), make_nodes(1))
    cluster.deploy()
    cluster.run()
    cluster.change(instances=0)
    deploy_id = cluster.deploy()
    cluster.run()
    assert cluster.result(deploy_id).state == "success"
    assert cluster.instances == {}


@pytest.mark.parametrize("strategy", ["ha", "random", "daemon"])
def test_without_connected_nodes_the_deploy_fails_and_says_so(strategy: str) -> None:
    cluster = Cluster(make_service(strategy=strategy), make_nodes(2, connected=False))
    deploy_id = cluster.deploy()
    cluster.run()
    assert cluster.result(deploy_id).state == "error"
    assert "g/stack/web-1" in str(cluster.result(deploy_id).reason)
    assert "no nodes are available" in str(cluster.result(deploy_id).reason)


def test_a_daemon_that_fits_nowhere_fails_and_keeps_what_runs() -> None:
    cluster = Cluster(make_service(strategy="daemon"), make_nodes(2))
    cluster.deploy()
    cluster.run()
    cluster.affinity = ("label==gpu",)
    deploy_id = cluster.deploy()
    cluster.run()
    assert "label==gpu" in str(cluster.result(deploy_id).reason)
    assert [item.error for item in cluster.result(deploy_id).instance_deploys] == [cluster.result(deploy_id).reason]
    assert cluster.placed() == {1: "n1", 2: "n2"}


def test_a_taken_port_is_named() -> None:
    other = Recorded("other", "stack/proxy", 1, frozenset({80}))
    cluster = Cluster(make_service(ports=(Port(80, 80),)), [NodeView("n1", "n1", 1, recorded=(other,))])
    deploy_id = cluster.deploy()
    cluster.run()
    result = cluster.result(deploy_id)
    reason = str(result.reason)
    assert "Cannot place g/stack/web-1" in reason
    assert "port 80 taken by stack/proxy" in reason
    [instance] = result.instance_deploys
    assert (instance.instance_number, instance.node, instance.state, instance.error) == (1, "", "error", reason)


def test_nodes_that_are_away_are_named_where_they_are_missed() -> None:
    cluster = Cluster(make_service(instances=2, affinity=("service!=web",)), make_nodes(2), ("service!=web",))
    cluster.lose("n2", 60)
    deploy_id = cluster.deploy()
    cluster.run()
    assert "not connected: n2" in str(cluster.result(deploy_id).reason)


def test_more_instances_with_a_port_than_nodes() -> None:
    cluster = Cluster(make_service(instances=3, ports=(Port(80, 80),)), make_nodes(2))
    deploy_id = cluster.deploy()
    cluster.run()
    result = cluster.result(deploy_id)
    assert result.state == "error"
    assert "g/stack/web-3" in str(result.reason)
    assert cluster.placed() == {1: "n1", 2: "n2"}


def test_surplus_goes_first_even_if_the_deploy_fails() -> None:
    cluster = Cluster(make_service(instances=3), make_nodes(3))
    cluster.deploy()
    cluster.run()
    cluster.change(instances=1)
    deploy_id = cluster.deploy()
    cluster.step()
    assert set(cluster.instances) == {1}
    cluster.report(1, error="image is broken")
    cluster.run()
    result = cluster.result(deploy_id)
    assert (result.state, set(cluster.instances)) == ("error", {1})
    assert result.instance_deploys[0].error == "GridServiceInstanceDeployer::ServiceError: image is broken"
    assert "g/stack/web-1" in str(result.reason)
    assert "image is broken" in str(result.reason)


def test_a_failed_first_instance_leaves_the_others_alone() -> None:
    cluster = Cluster(make_service(instances=3), make_nodes(3))
    cluster.deploy()
    cluster.run()
    before = {number: item.deploy_rev for number, item in cluster.instances.items()}
    deploy_id = cluster.deploy()
    cluster.step()
    cluster.report(1, state="stopped")
    cluster.run()
    result = cluster.result(deploy_id)
    assert [item.error for item in result.instance_deploys] == [
        "GridServiceInstanceDeployer::StateError: the container ended by itself right after its start; "
        "the logs of the instance tell more"
    ]
    assert {number: cluster.instances[number].deploy_rev for number in (2, 3)} == {2: before[2], 3: before[3]}


def test_two_deploys_run_one_after_the_other_and_do_not_move_anything() -> None:
    cluster = Cluster(make_service(instances=2), make_nodes(3))
    first, second = cluster.deploy(), cluster.deploy()
    cluster.step()
    assert cluster.result(second).state == "created"
    cluster.run()
    placed = cluster.placed()
    assert [cluster.result(item).state for item in (first, second)] == ["success", "success"]
    assert cluster.result(first).finished_at <= cluster.result(second).started_at  # type: ignore[operator]
    assert str(cluster.result(first).deploy_rev) < str(cluster.result(second).deploy_rev)
    third = cluster.deploy()
    cluster.run()
    assert cluster.result(third).state == "success"
    assert cluster.placed() == placed
    assert not any(isinstance(action, StopOnOldNode) for action in cluster.log)


def test_a_queued_deploy_is_looked_at_as_soon_as_the_first_one_ended() -> None:
    cluster = Cluster(make_service(), make_nodes(1))
    cluster.deploy()
    cluster.deploy()
    cluster.step()
    cluster.obey()
    plan = cluster.step()
    assert isinstance(plan.actions[-1], Finish)
    assert plan.until == cluster.now


def test_a_stopped_service_aborts_a_queued_deploy() -> None:
    cluster = Cluster(make_service(), make_nodes(1))
    deploy_id = cluster.deploy()
    cluster.stop()
    cluster.run()
    result = cluster.result(deploy_id)
    assert (result.state, result.started_at) == ("error", None)
    assert "not running" in str(result.reason)


def test_a_stop_in_the_middle_ends_the_deploy() -> None:
    cluster = Cluster(make_service(instances=3, stateful=True), make_nodes(3))
    deploy_id = cluster.deploy()
    cluster.step()
    cluster.stop()
    cluster.step()
    result = cluster.result(deploy_id)
    assert result.state == "error"
    assert "changed to stopped" in str(result.reason)
    assert [item.state for item in result.instance_deploys] == ["error"]
    assert result.instance_deploys[0].error
    assert set(cluster.instances) == {1}


def test_a_report_of_an_older_revision_changes_nothing() -> None:
    cluster = Cluster(make_service(), make_nodes(1))
    cluster.deploy()
    cluster.run()
    old = cluster.instances[1].rev
    deploy_id = cluster.deploy()
    cluster.step()
    cluster.report(1, rev=old, error="old trouble")
    cluster.step()
    assert cluster.result(deploy_id).state == "ongoing"


def test_a_later_revision_means_somebody_else_was_here() -> None:
    cluster = Cluster(make_service(), make_nodes(1))
    deploy_id = cluster.deploy()
    cluster.step()
    cluster.report(1, rev="9999")
    cluster.step()
    assert "superseded" in str(cluster.result(deploy_id).instance_deploys[0].error)


def test_an_instance_that_is_stopped_by_hand_fails_its_rollout() -> None:
    cluster = Cluster(make_service(instances=2), make_nodes(2))
    deploy_id = cluster.deploy()
    cluster.step()
    cluster.instances[1] = replace(cluster.instances[1], desired_state="stopped")
    cluster.step()
    assert "desired state changed to stopped" in str(cluster.result(deploy_id).instance_deploys[0].error)


def test_after_thirty_minutes_no_further_instance_begins() -> None:
    opts = DeployOpts(min_health=1.0)
    cluster = Cluster(make_service(instances=20, stateful=True, deploy_opts=opts), make_nodes(1))
    deploy_id = cluster.deploy()
    for _ in range(12):
        cluster.step()
        cluster.pass_time(200)
        cluster.obey()
    cluster.run()
    result = cluster.result(deploy_id)
    assert result.state == "error"
    assert "not finished within 30 minutes" in str(result.reason)
    assert all(item.state == "success" for item in result.instance_deploys)


def test_what_is_in_transition_settles_before_the_deploy_ends() -> None:
    cluster = Cluster(make_service(instances=4, deploy_opts=DeployOpts(min_health=0.0)), make_nodes(2))
    deploy_id = cluster.deploy()
    cluster.step()
    cluster.report(1, error="boom")
    cluster.step()
    assert cluster.result(deploy_id).finished_at is None
    cluster.obey()
    cluster.step()
    result = cluster.result(deploy_id)
    assert [item.state for item in result.instance_deploys] == ["error", "success", "success", "success"]
    assert (
        result.state,
        "web-1 on node n1: GridServiceInstanceDeployer::ServiceError: boom" in str(result.reason),
    ) == ("error", True)


def test_an_unplaced_stateful_instance_stays_where_its_data_is() -> None:
    cluster = Cluster(make_service(stateful=True), make_nodes(2))
    cluster.deploy()
    cluster.run()
    cluster.lose("n1")
    deploy_id = cluster.deploy()
    cluster.run()
    assert cluster.result(deploy_id).state == "error"
    assert "n1" in str(cluster.result(deploy_id).reason)
    assert cluster.placed() == {1: "n1"}
