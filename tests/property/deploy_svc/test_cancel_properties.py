"""A deploy is canceled at any moment, on random clusters: what ran stays, and nothing is deployed by itself."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.deploy_svc.domain.reconcile import Redeploy, assess
from services.deploy_svc.domain.scheduling.snapshot import NodeView
from services.deploy_svc.domain.service import Service
from tests.support.cluster import Cluster
from tests.support.cluster_events import EVENTS, cluster_of, disturb, nodes, services

events = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(1, 6)), max_size=12)


def there(cluster: Cluster) -> set[int]:
    """Instances that have a container on their node."""
    return {number for number, item in cluster.instances.items() if item.node_id and item.container_id}


@settings(max_examples=150, deadline=None)
@given(services, nodes, events, st.integers(0, 9), st.integers(0, 6))
def test_what_runs_stays_and_each_instance_is_told(
    service: Service, views: list[NodeView], before: list[tuple[str, int]], seed: int, steps: int
) -> None:
    cluster = cluster_of(service, views, seed)
    cluster.deploy()
    cluster.run()
    cluster.update(image="app:2")
    deploy_id = cluster.deploy()
    for event, value in before:
        disturb(cluster, event, value)
    for _ in range(steps):
        cluster.step()
    ran = there(cluster)
    plan = cluster.cancel()
    if plan is None:
        return
    canceled = cluster.result(plan.finish.deploy_id)
    assert all(item.state != "ongoing" for item in canceled.instance_deploys)
    groups = (plan.back, plan.again, plan.dropped)
    assert len({number for group in groups for number in group}) == sum(map(len, groups))
    assert ran <= there(cluster)
    assert all(cluster.instances[number].pod is not None for number in plan.back)
    assert "Canceled by ann@example.org" in str(canceled.reason)
    assert deploy_id == cluster.deploys[1].id


@settings(max_examples=60, deadline=None)
@given(services, nodes, st.integers(0, 9), st.integers(0, 4), st.booleans(), st.integers(0, 7200))
def test_nothing_goes_on_by_itself_while_the_nodes_stay(
    service: Service, views: list[NodeView], seed: int, steps: int, deployed: bool, later: float
) -> None:
    cluster = cluster_of(service, [view for view in views if view.connected], seed)
    if deployed:
        cluster.deploy()
        cluster.run()
        if cluster.deploys[-1].state != "success":
            return
    cluster.update(image="app:2", instances=service.spec.instances + 1)
    cluster.deploy()
    for _ in range(steps):
        cluster.step()
    if cluster.cancel() is None:
        return
    cluster.obey()
    cluster.pass_time(later)
    assert not isinstance(assess(cluster.case(), cluster.now), Redeploy)
