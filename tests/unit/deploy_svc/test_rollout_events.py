"""What people are told about the steps of a rollout."""

from dataclasses import replace

import pytest

from services.deploy_svc.domain.event import ERROR, INFO, WARN, Event
from services.deploy_svc.domain.rollout import next_step
from services.deploy_svc.domain.rollout_events import events
from tests.support.cluster import Cluster, make_nodes, make_service


@pytest.fixture
def cluster() -> Cluster:
    """One instance runs on n1, n2 is free."""
    made = Cluster(make_service(), make_nodes(2))
    made.deploy()
    made.run()
    return made


def told(cluster: Cluster) -> list[Event]:
    """Events of the next step, which is applied."""
    snapshot = cluster.snapshot()
    found = events(snapshot, next_step(snapshot, cluster.now, cluster.limits))
    cluster.step()
    return found


def warnings(found: list[Event]) -> list[tuple[str, int | None, str | None]]:
    return [(event.message, event.instance_number, event.node_id) for event in found if event.severity == WARN]


def test_a_deploy_is_told_from_its_start_to_its_end() -> None:
    cluster = Cluster(make_service(), make_nodes(1))
    cluster.deploy()
    assert [(item.severity, item.message) for item in told(cluster)] == [
        (INFO, "deploy of stack/web started: 1 instances")
    ]
    cluster.obey()
    assert [(item.severity, item.message) for item in told(cluster)] == [(INFO, "deploy of stack/web finished")]


def test_a_failed_instance_is_an_error_with_its_number() -> None:
    cluster = Cluster(make_service(), make_nodes(1))
    cluster.deploy()
    cluster.step()
    cluster.report(1, error="boom")
    first, last = told(cluster)
    assert (first.severity, first.instance_number) == (ERROR, 1)
    assert "ServiceError: boom" in first.message
    assert "deploy of stack/web failed" in last.message


def test_an_instance_that_stops_on_its_old_node_moves_without_a_warning(cluster: Cluster) -> None:
    cluster.nodes["n1"] = replace(cluster.nodes["n1"], availability="drain")
    cluster.deploy()
    _, stopping = told(cluster)
    assert stopping.message == "stopping instance 1 of stack/web on its previous node n1"
    assert (stopping.instance_number, stopping.node_id) == (1, "n1")
    cluster.obey()
    assert warnings(told(cluster)) == []
    assert cluster.placed() == {1: "n2"}


def test_leaving_a_lost_node_is_one_warning(cluster: Cluster) -> None:
    """MH-29."""
    cluster.lose("n1", 60)
    cluster.deploy()
    message = "instance 1 of stack/web goes to node n2: its previous node n1 is not connected"
    assert warnings(told(cluster)) == [(message, 1, "n2")]
    cluster.obey()
    assert warnings(told(cluster)) == []


def test_leaving_a_node_that_does_not_answer_is_a_warning(cluster: Cluster) -> None:
    cluster.nodes["n1"] = replace(cluster.nodes["n1"], availability="drain")
    cluster.deploy()
    cluster.step()
    cluster.pass_time(300)
    message = "instance 1 of stack/web goes to node n2: its previous node n1 did not stop it in time"
    assert warnings(told(cluster)) == [(message, 1, "n2")]


def test_an_orphan_is_told(cluster: Cluster) -> None:
    cluster.nodes.pop("n1")
    cluster.instances[1] = replace(cluster.instances[1], node_id=None)
    cluster.deploy()
    assert warnings(told(cluster)) == [("instance 1 of stack/web goes to node n2: it was on no node any more", 1, "n2")]


def test_a_rollback_is_a_warning(cluster: Cluster) -> None:
    opts = replace(cluster.service.spec.deploy_opts, rollback=True)
    cluster.update(image="bad", deploy_opts=opts)
    cluster.deploy()
    cluster.step()
    cluster.report(1, error="boom")
    assert [message for message, _, _ in warnings(told(cluster))] == ["stack/web goes back to its last good revision"]
