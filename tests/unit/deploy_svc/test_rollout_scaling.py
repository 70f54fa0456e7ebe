"""A deploy that only changes how many instances there are touches those that it adds or takes away."""

from dataclasses import replace
from typing import Any

import pytest

from services.deploy_svc.domain.reconcile import Redeploy
from services.deploy_svc.domain.rollout_plan import Finish, Keep, Place, RollBack, Run, Start
from services.deploy_svc.domain.scheduling.snapshot import NodeView
from services.deploy_svc.domain.service_deploy import Cause, Origin
from services.deploy_svc.domain.service_spec import DeployOpts, Hook, Port
from tests.support.cluster import Cluster, make_nodes, make_service


def running(instances: int = 2, nodes: int = 3, **spec: Any) -> Cluster:
    """Deployed with success."""
    cluster = Cluster(make_service(instances=instances, **spec), make_nodes(nodes))
    cluster.deploy()
    cluster.run()
    assert cluster.deploys[-1].state == "success"
    return cluster


def revs(cluster: Cluster) -> dict[int, str | None]:
    return {number: item.deploy_rev for number, item in sorted(cluster.instances.items())}


def runs(cluster: Cluster, instances: int) -> list[int]:
    """The instances that a scaling touches."""
    before = len(cluster.log)
    cluster.scale(instances)
    cluster.run()
    assert cluster.deploys[-1].state == "success"
    return [action.instance_number for action in cluster.log[before:] if isinstance(action, Run)]


def test_more_instances_are_all_that_a_scaling_touches() -> None:
    cluster = running()
    before = dict(cluster.instances)
    deploy_id = cluster.scale(4)
    assert [type(action) for action in cluster.step().actions] == [Start, Keep, Keep, Place, Run, Place, Run]
    assert {number: cluster.instances[number] for number in before} == before
    cluster.run()
    result = cluster.result(deploy_id)
    assert (result.state, result.total) == ("success", 4)
    told = [(item.instance_number, item.node_id, item.state) for item in result.instance_deploys]
    assert told == [(number, home, "success") for number, home in cluster.placed().items()]
    assert set(revs(cluster).values()) == {before[1].deploy_rev, result.deploy_rev}


def test_fewer_are_one_step() -> None:
    cluster = running(3)
    deploy_id = cluster.scale(1)
    assert [type(action) for action in cluster.step().actions] == [Start, Keep, Finish]
    result = cluster.result(deploy_id)
    assert (result.state, result.total, len(result.instance_deploys)) == ("success", 1, 1)
    assert result.deploy_rev is not None
    assert set(cluster.instances) == {1}
    assert str(cluster.instances[1].deploy_rev) < result.deploy_rev


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "missing"},
        {"state": "stopped"},
        {"state": "restarting"},
        {"desired_state": "stopped"},
        {"desired_state": "stopped", "state": "stopped"},
        {"error": "boom"},
        {"health": "unhealthy"},
        {"rev": None},
        {"rev": "2025-01-01 00:00:00.000000 UTC"},
        {"rev": None, "deploy_rev": None},
        {"service_revision": 0},
    ],
    ids=str,
)
def test_one_that_is_not_well_is_repaired(wrong: dict[str, Any]) -> None:
    cluster = running(3)
    cluster.instances[2] = replace(cluster.instances[2], **wrong)
    cluster.scale(4)
    cluster.step()
    assert {item.instance_number: item.state for item in cluster.deploys[-1].instance_deploys} == {
        1: "success",
        3: "success",
        2: "ongoing",
        4: "ongoing",
    }
    assert cluster.instances[2].deploy_rev == cluster.deploys[-1].deploy_rev
    cluster.report(2, health=None)
    cluster.run()
    assert cluster.deploys[-1].state == "success"
    assert cluster.instances[2].rev == cluster.deploys[-1].deploy_rev


def test_one_whose_node_has_not_answered_yet_is_asked_again() -> None:
    cluster = running(1)
    cluster.deploy()
    cluster.step()
    cluster.cancel()
    cluster.scale(1)
    assert [type(action) for action in cluster.step().actions] == [Start, Place, Run]


def test_a_revision_that_was_not_deployed_yet_is() -> None:
    cluster = running()
    cluster.update(image="app:2")
    assert runs(cluster, 3) == [1, 2, 3]
    assert {item.pod.image for item in cluster.instances.values() if item.pod} == {"app:2"}


def test_a_node_that_takes_the_instance_no_more_loses_it() -> None:
    cluster = running(2, 3)
    cluster.nodes["n1"] = replace(cluster.nodes["n1"], availability="drain")
    (leaving,) = (number for number, home in cluster.placed().items() if home == "n1")
    assert runs(cluster, 2) == [leaving]
    assert "n1" not in cluster.placed().values()


@pytest.mark.parametrize("gone", [True, False])
def test_one_on_a_node_that_is_lost_or_gone_moves(gone: bool) -> None:
    cluster = running(2, 3)
    number = next(number for number, home in cluster.placed().items() if home == "n2")
    cluster.lose("n2", 60)
    if gone:
        del cluster.nodes["n2"]
    assert runs(cluster, 2) == [number]
    assert "n2" not in cluster.placed().values()


def test_one_that_is_nowhere_is_placed() -> None:
    cluster = running()
    cluster.instances[1] = replace(cluster.instances[1], node_id=None)
    assert runs(cluster, 2) == [1]


@pytest.mark.parametrize(
    ("cause", "origin"),
    [("request", "deploy"), ("request", "rollback"), ("request", "secret"), ("automatic", "automatic")],
)
def test_every_other_deploy_touches_all(cause: Cause, origin: Origin) -> None:
    cluster = running()
    before = revs(cluster)
    cluster.deploy(cause, origin=origin)
    cluster.run()
    assert not set(revs(cluster).values()) & set(before.values())


def test_those_that_stay_take_no_room_of_those_that_are_added() -> None:
    cluster = running(3, stateful=True, deploy_opts=DeployOpts(min_health=1.0))
    cluster.scale(5)
    for number in (4, 5):
        cluster.step()
        assert [item.instance_number for item in cluster.deploys[-1].instance_deploys if item.state == "ongoing"] == [
            number
        ]
        cluster.report(number)
    cluster.step()
    assert cluster.deploys[-1].state == "success"


@pytest.mark.parametrize(
    "spec",
    [
        {"stateful": True},
        {"strategy": "daemon", "instances": 1},
        {"strategy": "random"},
        {"ports": (Port(80, 80),), "instances": 3},
        {"max_per_node": 1, "instances": 3},
        {"affinity": ("service!=web",), "instances": 3},
        {"hooks": (Hook("post_start", "migrate", "true", oneshot=True),)},
        {"deploy_opts": DeployOpts(parallelism=1, order="start_first")},
    ],
    ids=str,
)
def test_whatever_the_service_is_those_that_run_stay(spec: dict[str, Any]) -> None:
    service = make_service(**{"instances": 2, **spec})
    cluster = Cluster(service, make_nodes(5), service.spec.affinity)
    cluster.deploy()
    cluster.run()
    before = dict(cluster.instances)
    wanted = cluster.service.spec.instances + 1
    added = runs(cluster, wanted)
    assert added == sorted(set(cluster.instances) - set(before))
    assert added
    assert runs(cluster, wanted - 1) == []
    assert {number: item.deploy_rev for number, item in before.items()} == revs(cluster)


def test_new_ones_go_where_those_that_stay_are_not() -> None:
    nodes = [*make_nodes(2, labels=("az=a",)), NodeView("n3", "n3", 3, labels=("az=b",))]
    cluster = Cluster(make_service(instances=3), nodes)
    cluster.deploy()
    cluster.run()
    assert sorted(map(str, cluster.placed().values())) == ["n1", "n2", "n3"]
    assert runs(cluster, 4) == [4]
    assert cluster.placed()[4] == "n3", "the zone with fewer"


def test_a_node_that_a_scaling_leaves_without_an_instance_gets_one_by_itself() -> None:
    cluster = running(4, 2)
    homes = {1: "n1", 2: "n1", 3: "n2", 4: "n2"}
    cluster.instances = {number: replace(item, node_id=homes[number]) for number, item in cluster.instances.items()}
    assert runs(cluster, 2) == []
    decision = cluster.reconcile()
    assert isinstance(decision, Redeploy)
    assert decision.why == "nodes to use: n2"


def test_another_replica_goes_on_where_one_repairs_and_others_stayed() -> None:
    cluster = running(3)
    cluster.instances[1] = replace(cluster.instances[1], error="boom")
    cluster.scale(3)
    cluster.step()
    assert cluster.step().actions == ()
    cluster.instances[2] = replace(cluster.instances[2], error="ill by now")
    cluster.report(1)
    cluster.step()
    result = cluster.deploys[-1]
    assert result.state == "success", "it was well when the deploy came to it"
    assert [item.instance_number for item in result.instance_deploys] == [2, 3, 1]


def test_a_scaling_that_fails_says_so_and_leaves_those_that_run() -> None:
    cluster = running(2, 2, ports=(Port(80, 80),))
    before = dict(cluster.instances)
    deploy_id = cluster.scale(3)
    cluster.run()
    result = cluster.result(deploy_id)
    assert result.state == "error"
    assert "Cannot place g/stack/web-3" in str(result.reason)
    assert [item.state for item in result.instance_deploys] == ["success", "success", "error"]
    assert {number: replace(cluster.instances[number], good_container_id=None) for number in before} == {
        number: replace(item, good_container_id=None) for number, item in before.items()
    }


def test_one_that_fails_takes_back_what_was_added_and_nothing_else() -> None:
    cluster = running(2, 3, deploy_opts=DeployOpts(rollback=True))
    containers = {number: item.container_id for number, item in cluster.instances.items()}
    cluster.scale(3)
    cluster.step()
    cluster.report(3, error="boom")
    cluster.run()
    assert sum(isinstance(action, RollBack) for action in cluster.log) == 1
    assert cluster.deploys[-1].state == "success"
    assert {number: item.good_container_id for number, item in cluster.instances.items()} == containers
    assert [item.service_revision for item in cluster.instances.values()] == [1, 1]


def test_what_a_scaling_left_is_good_to_go_back_to() -> None:
    cluster = running(2, 3, deploy_opts=DeployOpts(rollback=True, min_health=0.5))
    runs(cluster, 3)
    assert cluster.good is not None
    assert (cluster.good.revision, cluster.good.spec.instances) == (1, 3)
    cluster.update(image="bad")
    cluster.deploy()
    cluster.step()
    cluster.report(1, error="boom", container_id="new")
    cluster.run()
    assert [item.service_revision for _, item in sorted(cluster.instances.items())] == [3, 1, 1]
    assert runs(cluster, 4) == [1, 2, 3, 4], "the user's revision, which the rollback took back, is deployed again"


def test_canceling_one_says_that_those_that_stayed_are_as_before() -> None:
    cluster = running(2)
    before = revs(cluster)
    cluster.scale(4)
    cluster.step()
    cluster.cancel()
    assert str(cluster.deploys[-1].reason).endswith("Instances: 1 to 2 as before; 3 to 4 gone, as they did not run yet")
    assert revs(cluster) == before
