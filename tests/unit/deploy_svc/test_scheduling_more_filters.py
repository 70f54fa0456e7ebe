"""Ephemeral, volume and dependency filters, memory that containers used (docs/spec/orchestration.md section 1.5)."""

from dataclasses import replace
from typing import Any

import pytest

from services.deploy_svc.domain.scheduling.explain import CannotPlace
from services.deploy_svc.domain.scheduling.pipeline import Scheduler
from services.deploy_svc.domain.scheduling.snapshot import MemorySample, NodeView, Recorded
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.volume import Mount
from tests.support.cluster import make_nodes, make_service

MIB = 2**20


def one(subject: Service, nodes: list[NodeView], number: int = 1, **more: Any) -> str:
    return Scheduler(subject, nodes, **more).schedule(number).name


def why_not(subject: Service, nodes: list[NodeView], **more: Any) -> str:
    with pytest.raises(CannotPlace) as error:
        one(subject, nodes, **more)
    return str(error.value)


@pytest.mark.parametrize("label", ["ephemeral", "ephemeral=yes"])
def test_a_stateful_service_keeps_off_ephemeral_nodes(label: str) -> None:
    """MH-16."""
    nodes = [NodeView("a", "a", 1, labels=(label,)), NodeView("b", "b", 2)]
    assert one(make_service(stateful=True), nodes) == "b"
    assert "ephemeral" in why_not(make_service(stateful=True), nodes[:1])
    assert one(make_service(), nodes[:1]) == "a"
    there = nodes[0].with_recorded(Recorded("s1", "stack/web", 1))
    assert one(make_service(stateful=True), [there, nodes[1]]) == "a"


def test_volume_drivers_must_be_there() -> None:
    nodes = [NodeView("a", "a", 1, volume_drivers=("local",)), NodeView("b", "b", 2, volume_drivers=("rexray:2",))]
    subject = replace(make_service(), mounts=(Mount("data", "v1", "data", "grid", "rexray"),))
    assert one(subject, nodes) == "b"
    reason = why_not(subject, nodes[:1])
    assert "volume plugin" in reason
    assert "rexray missing" in reason
    local = replace(make_service(), mounts=(Mount("data", "v1", "data", "grid", "local"),))
    assert one(local, [NodeView("c", "c", 3)]) == "c"


def test_nodes_that_hold_the_volume_of_the_instance_are_preferred() -> None:
    subject = replace(make_service(), mounts=(Mount("data", "v1", "data", "instance", "local"),))
    holder = NodeView("b", "b", 2, volumes=frozenset({"stack.web.data-1"}))
    assert one(subject, [NodeView("a", "a", 1), holder]) == "b"
    assert one(subject, [NodeView("a", "a", 1), holder], number=2) == "a"
    shared = replace(make_service(), mounts=(Mount("data", "v1", "data", "stack", "local"),))
    assert one(shared, [NodeView("a", "a", 1), holder]) == "a"


def test_no_node_with_room_is_said_with_the_rule() -> None:
    nodes = [node.with_recorded(Recorded("s1", "stack/web", node.number)) for node in make_nodes(3)]
    subject = make_service(instances=4, max_per_node=1)
    assert [one(subject, nodes, number=number) for number in (1, 2, 3)] == ["n1", "n2", "n3"]
    with pytest.raises(CannotPlace) as error:
        one(subject, nodes, number=4)
    words = "the room filter left no node; room refused n1, n2, n3: max_per_node 1 is reached"
    assert str(error.value) == f"Cannot place g/stack/web-4: {words}"


def test_data_stays_and_the_rule_that_forbids_it_is_said() -> None:
    full = make_nodes(2)
    full[0] = full[0].with_recorded(Recorded("s1", "stack/web", 1), Recorded("s1", "stack/web", 2))
    reason = why_not(make_service(instances=2, stateful=True, max_per_node=1), full)
    assert "the data of g/stack/web-1 is on node n1" in reason
    assert "max_per_node 1 is reached" in reason


def test_containers_to_attach_to_must_be_there() -> None:
    db = Recorded("s2", "stack/db", 1, container="stack.db-1")
    foreign = Recorded("s3", "other/db", 1, container="other.db-1")
    coming = Recorded("s2", "stack/db", 1)
    nodes = [
        NodeView("a", "a", 1, recorded=(foreign,)),
        NodeView("b", "b", 2, recorded=(coming,)),
        NodeView("c", "c", 3, recorded=(db,)),
    ]
    assert one(make_service(volumes_from=("db-%s",)), nodes) == "c"
    assert one(make_service(volumes_from=("none-1", "db-1")), nodes) == "c"
    assert one(make_service(net="container:db-%s"), nodes) == "c"
    assert "db-1 is there to take volumes from" in why_not(make_service(volumes_from=("db-%s",)), nodes[:2])
    assert "db-2" in why_not(make_service(net="container:db-2"), nodes)
    assert one(make_service(net="host"), nodes[:1]) == "a"


def test_a_daemon_with_a_dependency_goes_where_it_is_met() -> None:
    db = Recorded("s2", "stack/db", 1, container="stack.db-1")
    nodes = [*make_nodes(2), NodeView("n3", "n3", 3, recorded=(db,))]
    assert len(Scheduler(make_service(strategy="daemon", volumes_from=("db-1",)), nodes).numbers()) == 1


def test_a_daemon_stays_where_only_its_own_number_finds_what_it_depends_on() -> None:
    pairs = [(1, "n1"), (4, "n4")]
    nodes = [
        NodeView(name, name, number).with_recorded(
            Recorded("s2", "stack/db", number, container=f"stack.db-{number}"),
            Recorded("s1", "stack/web", number, container=f"stack.web-{number}"),
        )
        for number, name in pairs
    ]
    assert list(Scheduler(make_service(strategy="daemon", volumes_from=("db-%s",)), nodes).numbers()) == [1, 4]


def test_memory_that_was_used_counts_when_none_is_asked_for() -> None:
    tight = NodeView("a", "a", 1, mem_total=512.0 * MIB, memory=MemorySample(500.0 * MIB, 12.0 * MIB, 0, 0))
    roomy = NodeView("b", "b", 2, mem_total=512.0 * MIB, memory=MemorySample(100.0 * MIB, 412.0 * MIB, 0, 0))
    assert one(make_service(), [tight, roomy], memory_need=100.0 * MIB) == "b"
    assert one(make_service(), [tight], memory_need=0.0) == "a"
    assert "memory" in why_not(make_service(), [tight], memory_need=100.0 * MIB)
