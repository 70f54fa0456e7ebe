"""A node knows its own endpoints before the master does, and while there is none."""

from dataclasses import replace

from agent.domain.own_endpoints import OwnEndpoints, endpoint_of
from agent.domain.resolver_names import Endpoint
from kontena.deploy.v1 import assignment_pb2 as pb
from tests.unit.agent.agent_factories import assignment

ONE = Endpoint("i1", "web", "null", "web-1", "", False, "172.18.0.2", "here")
AWAY = replace(ONE, instance_id="i2", hostname="web-2", node_id="there")
NEW = replace(ONE, address="172.18.0.9")


def test_what_was_seen_here_counts_until_the_master_tells_something_else() -> None:
    own = OwnEndpoints()
    told = {"i1": ONE, "i2": AWAY}
    assert own.of(told, "here") == [ONE], "others may have the same addresses"
    assert own.see("i1", NEW)
    assert not own.see("i1", NEW)
    assert own.of(told, "here") == [NEW]
    own.heard(told, told | {"i2": replace(AWAY, lost=True)})
    assert own.of(told, "here") == [NEW], "the master said nothing new of it"
    before = own.seen_of(told)
    told |= {"i2": AWAY}
    own.heard(before, told)
    assert own.of(told, "here") == [NEW], "nor does a change in place"
    own.heard(told, {"i2": AWAY})
    assert own.of({"i2": AWAY}, "here") == [], "it is about to be replaced"


def test_one_that_left_is_not_answered_while_the_master_still_tells_it() -> None:
    own = OwnEndpoints()
    own.see("i1", None)
    assert own.of({"i1": ONE}, "here") == []
    own.heard({"i1": ONE}, {})
    assert own.see("i1", ONE), "forgotten, so that it is news"


def test_an_agent_that_starts_goes_by_what_it_sees_once_it_has_looked_at_everything() -> None:
    own = OwnEndpoints()
    own.see("i1", NEW)
    assert not own.complete({"i1", "i3"})
    own.see("i3", None)
    assert own.complete({"i1", "i3"})
    assert own.complete({"i1", "i3", "i4"}), "what comes later was not answered before"


def test_who_may_be_connected_to() -> None:
    web = assignment(1)
    up = pb.InstanceStatus(instance_id=web.instance_id, state="running", address="172.18.0.2")
    found = endpoint_of(web, up, "here")
    assert found is not None
    assert (found.hostname, found.address, found.node_id) == (web.pod.hostname, "172.18.0.2", "here")
    assert endpoint_of(web, pb.InstanceStatus(state="stopped"), "here") is None
    assert endpoint_of(assignment(1, desired_state="stopped"), up, "here") is None
    checked = assignment(1, pod={"health_check": {"protocol": "http", "port": 80}})
    assert endpoint_of(checked, up, "here") is None, "a check that has not said anything has not said that all is well"
    healthy = pb.InstanceStatus(state="running", address="172.18.0.2", health="healthy")
    assert endpoint_of(checked, healthy, "here") is not None
