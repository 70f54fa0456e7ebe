"""A failed deploy of a service that wants it goes back to the last good spec (deploy_opts.rollback)."""

from services.deploy_svc.domain.rollout_plan import RollBack
from services.deploy_svc.domain.service_spec import DeployOpts
from tests.support.cluster import Cluster, make_nodes, make_service

BACK = DeployOpts(rollback=True, min_health=0.5)


def running(instances: int = 3, opts: DeployOpts = BACK) -> Cluster:
    """Deployed once, with success."""
    cluster = Cluster(make_service(instances=instances, deploy_opts=opts, image="good"), make_nodes(3))
    cluster.deploy()
    cluster.run()
    return cluster


def images(cluster: Cluster) -> list[str]:
    return [item.pod and item.pod.image for _, item in sorted(cluster.instances.items())]


def test_a_failed_deploy_is_rolled_back_and_says_so() -> None:
    cluster = running()
    cluster.update(image="bad")
    failed = cluster.deploy()
    cluster.step()
    cluster.report(1, error="boom", container_id="new")
    cluster.run()
    result = cluster.result(failed)
    assert result.state == "error"
    assert "boom" in str(result.reason)
    assert str(result.reason).endswith("; rolling back to revision 1")
    back = cluster.deploys[-1]
    assert (back.cause, back.state, back.total) == ("rollback", "success", 3)
    assert images(cluster) == ["good"] * 3
    assert cluster.service.spec.image == "bad"


def test_only_what_was_changed_is_made_anew() -> None:
    cluster = running()
    cluster.update(image="bad")
    cluster.deploy()
    cluster.step()
    cluster.report(1, error="boom", container_id="new")
    cluster.run()
    # The first instance ran revision 2, so it needs a greater one; the others never left revision 1.
    assert [item.service_revision for _, item in sorted(cluster.instances.items())] == [3, 1, 1]
    # The next deploy of the user is greater than all of them.
    assert cluster.service.revision == 4


def test_an_instance_whose_old_container_still_runs_is_left_alone() -> None:
    cluster = running()
    cluster.update(image="missing")
    cluster.deploy()
    cluster.step()
    cluster.report(1, error="no such image", container_id="c1")
    cluster.run()
    assert [item.service_revision for _, item in sorted(cluster.instances.items())] == [1, 1, 1]


def test_an_instance_that_never_answered_is_made_anew() -> None:
    cluster = running(1)
    cluster.update(image="slow")
    cluster.deploy()
    cluster.step()
    cluster.pass_time(301)
    cluster.step()
    cluster.run()
    assert cluster.instances[1].service_revision == 3
    assert images(cluster) == ["good"]


def test_without_the_option_nothing_is_rolled_back() -> None:
    cluster = running(opts=DeployOpts())
    cluster.update(image="bad")
    cluster.deploy()
    cluster.step()
    cluster.report(1, error="boom")
    cluster.run()
    assert images(cluster) == ["bad", "good", "good"]
    assert len(cluster.deploys) == 2


def test_a_first_deploy_has_nothing_to_go_back_to() -> None:
    cluster = Cluster(make_service(deploy_opts=BACK), make_nodes(1))
    first = cluster.deploy()
    cluster.step()
    cluster.report(1, error="boom")
    cluster.run()
    assert "no earlier success" in str(cluster.result(first).reason)
    assert len(cluster.deploys) == 1


def test_a_rollback_that_fails_is_not_rolled_back() -> None:
    cluster = running()
    cluster.update(image="bad")
    cluster.deploy()
    cluster.step()
    cluster.report(1, error="boom", container_id="new")
    cluster.obey()
    cluster.step()
    assert cluster.deploys[-1].cause == "rollback"
    cluster.step()
    cluster.report(1, error="still broken")
    cluster.run()
    assert cluster.deploys[-1].state == "error"
    assert sum(isinstance(action, RollBack) for action in cluster.log) == 1


def test_a_waiting_deploy_makes_a_rollback_pointless() -> None:
    cluster = running()
    cluster.update(image="bad")
    failed = cluster.deploy()
    cluster.step()
    cluster.update(image="better")
    cluster.deploy()
    cluster.report(1, error="boom")
    cluster.run()
    assert "rolling back" not in str(cluster.result(failed).reason)
    assert images(cluster) == ["better"] * 3


def test_after_a_rollback_the_next_deploy_uses_the_new_spec() -> None:
    cluster = running()
    cluster.update(image="bad")
    cluster.deploy()
    cluster.step()
    cluster.report(1, error="boom", container_id="new")
    cluster.run()
    cluster.update(image="better")
    cluster.deploy()
    cluster.run()
    assert images(cluster) == ["better"] * 3
    assert len({item.service_revision for item in cluster.instances.values()}) == 1
    assert not cluster.pinned


def test_a_failed_scale_up_is_rolled_back_too() -> None:
    cluster = running()
    cluster.change(instances=4)
    cluster.deploy()
    while 4 not in cluster.instances:
        cluster.obey()
        cluster.step()
    cluster.report(4, error="boom")
    cluster.run()
    assert set(cluster.instances) == {1, 2, 3}
    assert [item.service_revision for item in cluster.instances.values()] == [1, 1, 1]
