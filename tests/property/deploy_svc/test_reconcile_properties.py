"""The reconcile loop and the rollouts together, on random clusters: the goal is reached, and then nothing moves."""

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from services.deploy_svc.domain.reconcile import Redeploy, Wait, assess
from services.deploy_svc.domain.rollout_plan import Place, RollBack
from services.deploy_svc.domain.scheduling.snapshot import NodeView
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_spec import DeployOpts
from tests.support.cluster import Cluster, make_service
from tests.support.cluster_events import EVENTS, check, cluster_of, disturb, nodes, services


def settle(cluster: Cluster, rounds: int = 400) -> None:
    """Hours pass in which nothing happens."""
    for _ in range(rounds):
        cluster.reconcile()
        while any(deploy.finished_at is None for deploy in cluster.deploys):
            cluster.step()
            cluster.obey()
            cluster.pass_time(1)
        cluster.pass_time(60)


@settings(max_examples=80, deadline=None)
@given(services, nodes, st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(1, 6)), max_size=25), st.integers(0, 9))
def test_after_any_disturbance_the_goal_is_reached_and_then_nothing_moves(
    service: Service, views: list[NodeView], events: list[tuple[str, int]], seed: int
) -> None:
    cluster = cluster_of(service, views, seed)
    cluster.deploy()
    for event, value in events:
        disturb(cluster, event, value)
        check(cluster)
    settle(cluster, rounds=60)
    check(cluster)
    decision = assess(cluster.case(), cluster.now)
    stuck = cluster.deploys[-1].state == "error"
    if not stuck:
        assert decision == Wait(None), "the goal was not reached"
    deploys, placed = len(cluster.deploys), cluster.placed()
    settle(cluster, rounds=30)
    if not stuck:
        assert len(cluster.deploys) == deploys, "a deploy without a cause"
    assert len(cluster.deploys) <= deploys + 3, "a deploy storm"
    assert cluster.placed() == placed, "an instance moved without a cause"


@settings(max_examples=80, deadline=None)
@given(services, nodes, st.integers(0, 99))
def test_a_plan_that_was_carried_out_needs_no_other_one(service: Service, views: list[NodeView], seed: int) -> None:
    """Whatever ties the dice decided."""
    cluster = cluster_of(service, views, seed)
    first = cluster.deploy()
    cluster.run()
    if cluster.result(first).state == "success":
        assert not isinstance(assess(cluster.case(), cluster.now), Redeploy)


@settings(max_examples=80, deadline=None)
@given(services, nodes, st.integers(0, 99))
def test_a_lost_node_leaves_a_balanced_service(service: Service, views: list[NodeView], seed: int) -> None:
    """One deploy repairs it, and what the lost node had is spread over the others."""
    calm = replace(service, spec=replace(service.spec, stateful=False, strategy="ha", affinity=(), ports=()))
    calm_views = [replace(view, labels=(), availability="active", connected=True) for view in views]
    cluster = cluster_of(calm, calm_views, seed)
    cluster.deploy()
    cluster.run()
    before = cluster.placed()
    if not before or len(views) < 2:
        return
    lost = str(before[1])
    cluster.lose(lost, 1000)
    settle(cluster, rounds=10)
    assert len(cluster.deploys) == 2
    load = Counter({view.id: 0 for view in views if view.id != lost})
    load.update(Counter(str(node) for node in cluster.placed().values()))
    assert lost not in load
    assert max(load.values()) - min(load.values()) <= 1


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.sampled_from([0.0, 0.5, 0.8]), st.integers(1, 6))
def test_a_rollback_ends_where_it_began(instances: int, count: int, health: float, broken: int) -> None:
    """Whichever instance fails, all of them end with the last good pod, and the untouched ones with their revision."""
    views = [NodeView(f"n{n}", f"n{n}", n) for n in range(1, count + 1)]
    opts = DeployOpts(rollback=True, min_health=health)
    cluster = Cluster(make_service(instances=instances, deploy_opts=opts), views)
    cluster.deploy()
    cluster.run()
    before = cluster.placed()
    cluster.update(image="bad")
    failed = cluster.deploy()
    for _ in range(100):
        cluster.step()
        if cluster.result(failed).finished_at:
            break
        for number, item in cluster.instances.items():
            if item.rev is None:
                boom = "boom" if number == broken else None
                cluster.report(number, container_id=f"new{number}", error=boom)
    cluster.run()
    if broken > instances:
        assert cluster.result(failed).state == "success"
        return
    assert any(isinstance(action, RollBack) for action in cluster.log)
    assert {item.pod and item.pod.image for item in cluster.instances.values()} == {"app"}
    assert cluster.placed() == before
    touched = {a.instance_number for a in cluster.log if isinstance(a, Place) and a.deploy_id == failed}
    for number, item in cluster.instances.items():
        assert (item.service_revision > 1) == (number in touched)
        assert item.service_revision < cluster.service.revision
