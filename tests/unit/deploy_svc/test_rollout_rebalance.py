"""How a rebalance proceeds: only what moves is touched, one after the other, each healthy before more follow."""

from dataclasses import replace

import pytest

from services.deploy_svc.domain.rollout_plan import Run
from services.deploy_svc.domain.scheduling.rebalance import MOST_MOVES, rebalance
from services.deploy_svc.domain.scheduling.snapshot import Recorded
from tests.support.cluster import Cluster, make_nodes, make_service


def crowded(instances: int, nodes: int = 2, **spec: object) -> Cluster:
    """All instances are on the first node, as the others came later."""
    cluster = Cluster(make_service(strategy="random", instances=instances, **spec), make_nodes(1))
    cluster.deploy()
    cluster.run()
    cluster.nodes = {node.id: node for node in make_nodes(nodes)}
    cluster.log.clear()
    return cluster


def test_what_moves_is_all_that_is_touched() -> None:
    cluster = crowded(4)
    deploy = cluster.deploy(moves={3: "n2", 4: "n2"})
    cluster.run()
    assert cluster.placed() == {1: "n1", 2: "n1", 3: "n2", 4: "n2"}
    assert {action.instance_number for action in cluster.log if isinstance(action, Run)} == {3, 4}
    assert (cluster.result(deploy).state, cluster.result(deploy).total) == ("success", 2)


def test_no_more_are_under_way_than_a_deploy_replaces_at_once() -> None:
    cluster = crowded(4)
    cluster.deploy(moves={2: "n2", 3: "n2", 4: "n2"})
    cluster.step()
    assert [item.instance_number for item in cluster.deploys[-1].instance_deploys] == [2]


def test_an_instance_that_fails_ends_it_and_the_rest_stays() -> None:
    cluster = crowded(4)
    deploy = cluster.deploy(moves={3: "n2", 4: "n2"})
    cluster.step()
    cluster.report(3)
    cluster.step()
    cluster.report(3, error="no such image")
    cluster.run()
    assert "no such image" in (cluster.result(deploy).reason or "")
    assert cluster.placed()[4] == "n1"


def test_instances_may_wait_for_one_another_to_make_room() -> None:
    cluster = crowded(1, nodes=3, max_per_node=1)
    cluster.change(instances=2)
    cluster.deploy()
    cluster.run()
    one, two = cluster.placed().values()
    (free,) = {"n1", "n2", "n3"} - {one, two}
    assert one is not None
    assert two is not None
    deploy = cluster.deploy(moves={1: two, 2: free})
    cluster.run()
    assert (cluster.result(deploy).state, cluster.placed()) == ("success", {1: two, 2: free})


def test_a_node_that_takes_nothing_any_more_ends_it() -> None:
    cluster = crowded(2)
    cluster.nodes["n2"] = replace(cluster.nodes["n2"], availability="drain")
    deploy = cluster.deploy(moves={2: "n2"})
    cluster.run()
    assert "node n2 cannot take it any more" in (cluster.result(deploy).reason or "")
    assert cluster.placed() == {1: "n1", 2: "n1"}


def test_what_is_gone_by_then_moves_no_more() -> None:
    cluster = crowded(3)
    cluster.change(instances=2)
    cluster.deploy()
    deploy = cluster.deploy(moves={2: "n2", 3: "n2"})
    cluster.run()
    assert (cluster.result(deploy).state, cluster.placed()) == ("success", {1: "n1", 2: "n2"})


def test_a_canceled_one_says_what_it_had_not_begun() -> None:
    cluster = crowded(4)
    cluster.deploy(moves={3: "n2", 4: "n2"})
    cluster.step()
    plan = cluster.cancel()
    assert plan is not None
    assert (plan.finish.reason or "").endswith("Instances: 3 as before; 4 not begun")
    cluster.obey()
    assert cluster.placed() == dict.fromkeys(range(1, 5), "n1")


@pytest.mark.parametrize(("instances", "nodes"), [(300, 3), (8, 1000)])
def test_moves_are_bounded_and_large_grids_are_no_trouble(instances: int, nodes: int) -> None:
    seen = make_nodes(nodes)
    seen[0] = seen[0].with_recorded(*(Recorded("s1", "stack/web", number) for number in range(1, instances + 1)))
    found = rebalance(make_service(instances=instances), seen)
    assert len(found.moves) == min(MOST_MOVES, instances - 1)
    assert bool(found.reason) == (instances == 300)
