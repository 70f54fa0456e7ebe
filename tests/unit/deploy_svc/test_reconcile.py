"""When a service is deployed without being asked (docs/spec/orchestration.md section 4)."""

from dataclasses import replace

import pytest

from services.deploy_svc.domain.reconcile import Pace, Redeploy, Resume, Wait, assess
from services.deploy_svc.domain.scheduling.snapshot import NodeView
from services.deploy_svc.domain.service_spec import DeployOpts, Hook, Port
from tests.support.cluster import Cluster, make_nodes, make_service


def deployed(nodes: int = 3, **spec: object) -> Cluster:
    cluster = Cluster(make_service(**spec), make_nodes(nodes))
    cluster.deploy()
    cluster.run()
    return cluster


def join(cluster: Cluster, number: int) -> None:
    cluster.nodes[f"n{number}"] = NodeView(f"n{number}", f"n{number}", number)


def test_all_is_well_after_a_deploy() -> None:
    assert assess(deployed(instances=3).case(), deployed().now) == Wait(None)


@pytest.mark.parametrize(("strategy", "grace"), [("ha", 120), ("daemon", 600), ("random", 30)])
def test_a_lost_node_keeps_its_instances_for_the_grace_of_the_strategy(strategy: str, grace: int) -> None:
    """MH-38, MH-39, MH-40."""
    cluster = deployed(strategy=strategy, instances=3 if strategy != "daemon" else 1)
    lost = str(cluster.placed()[2])
    cluster.lose(lost)
    cluster.pass_time(grace - 1)
    decision = cluster.reconcile()
    assert isinstance(decision, Wait)
    assert decision.seconds == pytest.approx(1)
    cluster.regain(lost)
    assert cluster.reconcile() == Wait(None)
    cluster.lose(lost, grace)
    assert isinstance(cluster.reconcile(), Redeploy)
    cluster.run()
    assert lost not in cluster.placed().values()
    if strategy == "daemon":
        assert len(cluster.instances) == 2
    assert cluster.reconcile() == Wait(None)


def test_a_stateful_service_is_never_redeployed() -> None:
    """MH-38."""
    cluster = deployed(stateful=True, instances=2)
    cluster.lose("n1", 10_000)
    cluster.update(image="new")
    assert cluster.reconcile() == Wait(None)


def test_nothing_happens_while_no_node_is_connected() -> None:
    cluster = deployed(instances=2)
    for node_id in ("n1", "n2", "n3"):
        cluster.lose(node_id, 10_000)
    assert cluster.reconcile() == Wait(None)


def test_a_third_node_makes_exactly_one_deploy() -> None:
    """MH-41."""
    cluster = deployed(nodes=2, instances=3)
    join(cluster, 3)
    for _ in range(20):
        cluster.reconcile()
        cluster.run()
        cluster.pass_time(20)
    assert len(cluster.deploys) == 2
    assert sorted(cluster.placed().values(), key=str) == ["n1", "n2", "n3"]


def test_one_instance_does_not_move_to_a_new_node() -> None:
    cluster = deployed(nodes=1)
    join(cluster, 2)
    assert cluster.reconcile() == Wait(None)


def test_a_daemon_follows_new_nodes() -> None:
    cluster = deployed(nodes=2, strategy="daemon")
    before = cluster.placed()
    join(cluster, 3)
    assert isinstance(cluster.reconcile(), Redeploy)
    cluster.run()
    assert cluster.placed() == {**before, 3: "n3"}


def test_a_pending_deploy_keeps_others_from_being_made() -> None:
    """MH-42."""
    cluster = deployed(nodes=2, strategy="daemon")
    join(cluster, 3)
    cluster.reconcile()
    for _ in range(5):
        assert cluster.reconcile() == Wait(None)
    assert len(cluster.deploys) == 2


def test_a_stopped_service_is_left_alone() -> None:
    """MH-32."""
    cluster = deployed(instances=2)
    cluster.stop()
    cluster.update(image="new")
    cluster.lose("n1", 1000)
    assert cluster.reconcile() == Wait(None)


def test_a_service_that_was_started_but_never_deployed_is_deployed() -> None:
    cluster = Cluster(make_service(instances=2), make_nodes(2))
    assert isinstance(cluster.reconcile(), Redeploy)
    cluster.run()
    assert len(cluster.instances) == 2


def test_a_changed_revision_is_deployed_once() -> None:
    """MH-49 (the part of the loop), MH-56."""
    cluster = deployed(instances=2)
    cluster.update(image="new")
    assert isinstance(cluster.reconcile(), Redeploy)
    cluster.step()
    cluster.report(1, error="no such image")
    cluster.run()
    assert cluster.deploys[-1].state == "error"
    for _ in range(10):
        cluster.pass_time(3600)
        assert cluster.reconcile() == Wait(None)


def test_a_change_in_the_middle_of_a_deploy_is_not_lost() -> None:
    cluster = deployed(instances=2)
    cluster.deploy()
    cluster.step()
    cluster.update(image="newer")
    cluster.run()
    assert isinstance(cluster.reconcile(), Redeploy)
    cluster.run()
    assert {item.pod and item.pod.image for item in cluster.instances.values()} == {"newer"}


def test_a_default_affinity_moves_what_it_concerns() -> None:
    """MH-12."""
    cluster = deployed(nodes=2, instances=2)
    cluster.affinity = ("node==n2",)
    assert isinstance(cluster.reconcile(), Redeploy)
    cluster.run()
    assert set(cluster.placed().values()) == {"n2"}
    assert cluster.reconcile() == Wait(None)


def test_an_instance_that_may_not_be_where_it_is_moves_even_when_the_same_nodes_stay_in_use() -> None:
    cluster = deployed(nodes=2, instances=2)
    cluster.instances = {number: replace(item, node_id=f"n{3 - number}") for number, item in cluster.instances.items()}
    assert cluster.reconcile() == Wait(None)
    cluster.affinity = ("node==n%s",)
    assert isinstance(cluster.reconcile(), Redeploy)
    cluster.run()
    assert cluster.placed() == {1: "n1", 2: "n2"}


def test_draining_moves_stateless_instances() -> None:
    cluster = deployed(nodes=2)
    home = str(cluster.placed()[1])
    cluster.nodes[home] = replace(cluster.nodes[home], availability="drain")
    decision = cluster.reconcile()
    assert isinstance(decision, Redeploy)
    assert home in decision.why
    cluster.run()
    assert cluster.placed()[1] != home


def test_draining_stops_stateful_instances_and_brings_them_back() -> None:
    cluster = deployed(nodes=2, stateful=True, instances=2)
    cluster.nodes["n1"] = replace(cluster.nodes["n1"], availability="drain")
    on_drained = tuple(number for number, node in cluster.placed().items() if node == "n1")
    assert cluster.reconcile() == Resume(stop=on_drained)
    assert cluster.reconcile() == Wait(None)
    before = cluster.placed()
    cluster.nodes["n1"] = replace(cluster.nodes["n1"], availability="active")
    assert cluster.reconcile() == Resume(start=on_drained)
    assert {item.desired_state for item in cluster.instances.values()} == {"running"}
    assert cluster.placed() == before


def test_a_stopped_stateful_service_stays_stopped_when_its_node_is_active_again() -> None:
    cluster = deployed(nodes=1, stateful=True)
    cluster.nodes["n1"] = replace(cluster.nodes["n1"], availability="drain")
    cluster.reconcile()
    cluster.stop()
    cluster.nodes["n1"] = replace(cluster.nodes["n1"], availability="active")
    assert cluster.reconcile() == Wait(None)


def test_an_interval_renews_the_containers() -> None:
    cluster = deployed(deploy_opts=DeployOpts(interval=3600))
    cluster.pass_time(3590)
    waiting = cluster.reconcile()
    assert isinstance(waiting, Wait)
    cluster.pass_time(20)
    decision = cluster.reconcile()
    assert isinstance(decision, Redeploy)
    assert decision.force
    cluster.run()
    assert {item.service_revision for item in cluster.instances.values()} == {2}
    assert isinstance(cluster.reconcile(), Wait)


def test_what_fails_again_and_again_is_tried_less_and_less_often() -> None:
    """Nothing is retried endlessly at every pass: the pauses grow up to half an hour."""
    cluster = Cluster(make_service(instances=3, hooks=(Hook("post_start", "seed", "true"),)), make_nodes(3))
    cluster.deploy()
    for _ in range(6 * 180):
        cluster.reconcile()
        for _ in range(3):
            cluster.step()
            for number in cluster.instances:
                cluster.report(number, error="no such image")
        cluster.pass_time(20)
    # Six hours: 1, 2, 4, 8, 16, 30, 30 ... minutes apart.
    assert 12 <= len(cluster.deploys) <= 17


def test_a_new_node_ends_the_pause_of_what_could_not_be_placed() -> None:
    cluster = deployed(nodes=3, instances=3, ports=(Port(80, 80),))
    cluster.lose("n3", 1000)
    for _ in range(5):
        cluster.reconcile()
        cluster.run()
    assert cluster.deploys[-1].state == "error"
    assert len(cluster.deploys) == 2
    assert isinstance(cluster.reconcile(), Wait)
    join(cluster, 4)
    cluster.pass_time(20)
    assert isinstance(cluster.reconcile(), Redeploy)
    cluster.run()
    assert set(cluster.placed().values()) == {"n1", "n2", "n4"}


def test_a_node_that_is_not_known_yet_is_no_reason() -> None:
    cluster = deployed(nodes=2, instances=2)
    del cluster.nodes["n2"]
    assert cluster.reconcile() == Wait(None)


def test_an_instance_whose_node_was_removed_is_placed_anew_at_once() -> None:
    """MH-8 for stateless services: no grace for a removed node."""
    cluster = deployed(nodes=2, instances=2)
    del cluster.nodes["n2"]
    number = next(number for number, node in cluster.placed().items() if node == "n2")
    cluster.instances[number] = replace(cluster.instances[number], node_id=None)
    assert isinstance(cluster.reconcile(), Redeploy)
    cluster.run()
    assert set(cluster.placed().values()) == {"n1"}


def test_a_rolled_back_service_is_kept_as_it_was_rolled_back() -> None:
    cluster = deployed(nodes=2, instances=2, image="good", deploy_opts=DeployOpts(rollback=True))
    cluster.update(image="bad")
    cluster.deploy()
    cluster.step()
    cluster.report(1, error="boom", container_id="new")
    cluster.run()
    assert cluster.pinned
    assert cluster.reconcile() == Wait(None)
    cluster.lose("n2", 1000)
    assert isinstance(cluster.reconcile(), Redeploy)
    cluster.run()
    assert {item.pod and item.pod.image for item in cluster.instances.values()} == {"good"}
    assert set(cluster.placed().values()) == {"n1"}
    cluster.update(image="better")
    assert isinstance(cluster.reconcile(), Redeploy)
    cluster.run()
    assert {item.pod and item.pod.image for item in cluster.instances.values()} == {"better"}


def test_grace_can_be_shortened() -> None:
    cluster = deployed(instances=3)
    cluster.lose("n2", 2)
    assert isinstance(cluster.reconcile(Pace(grace=0.01)), Redeploy)
