"""The decision table of one instance (docs/spec/orchestration.md section 8.3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.decide import Action, Desired, Observed, decide, must_check_image, outdated
from tests.unit.agent.agent_factories import desired, observed


@pytest.mark.parametrize(
    ("wanted", "seen", "restart", "expected"),
    [
        (desired(), None, False, Action.CREATE),
        (desired(service_revision=2), observed(), False, Action.RECREATE),
        (desired(service_revision=2), observed(service_revision=10), False, Action.NOTHING),
        # Made by a rollout that was canceled, unless that is known from a file only.
        (desired(deploy_rev="r1"), observed(service_revision=2, deploy_rev="r2"), False, Action.RECREATE),
        (desired(deploy_rev="r1", certain=False), observed(service_revision=2, deploy_rev="r2"), False, Action.NOTHING),
        (desired(deploy_rev="r1"), observed(deploy_rev="r2"), False, Action.NOTHING),
        (desired(load_balancer="lb"), observed(), False, Action.RECREATE),
        (desired(), observed(load_balancer="lb"), False, Action.RECREATE),
        (desired(), observed(running=False), False, Action.START),
        (desired(), observed(running=False, start_error="port in use"), False, Action.RECREATE),
        (desired(), observed(start_error="long ago"), False, Action.NOTHING),
        (desired(), observed(), True, Action.RESTART),
        (desired(), observed(running=False), True, Action.START),
        (desired(), observed(), False, Action.NOTHING),
        (desired(state="stopped"), observed(), False, Action.STOP),
        (desired(state="stopped"), observed(), True, Action.STOP),
        (desired(state="stopped"), observed(running=False), False, Action.NOTHING),
        (desired(state="stopped"), None, False, Action.NOTHING),
        (desired(state="initialized"), None, False, Action.NOTHING),
        (desired(state="initialized"), observed(), False, Action.NOTHING),
    ],
)
def test_table(wanted: Desired, seen: Observed | None, restart: bool, expected: Action) -> None:
    assert decide(wanted, seen, restart=restart) is expected


@pytest.mark.parametrize(
    ("image_id", "expected"), [(None, Action.NOTHING), ("i1", Action.NOTHING), ("i2", Action.RECREATE)]
)
def test_other_content_under_the_tag_recreates(image_id: str | None, expected: Action) -> None:
    assert decide(desired(), observed(image_id="i1"), image_id=image_id) is expected


@pytest.mark.parametrize(
    ("wanted", "seen", "applied", "expected"),
    [
        (desired(deploy_rev="r2"), observed(), "r1", True),
        (desired(deploy_rev="r1"), observed(), "r1", False),
        (desired(deploy_rev="r2"), observed(), None, False),
        (desired(deploy_rev="r2"), None, "r1", False),
        (desired(deploy_rev="r2", state="stopped"), observed(), "r1", False),
    ],
)
def test_the_image_is_looked_up_only_for_a_new_rollout(
    wanted: Desired, seen: Observed | None, applied: str | None, expected: bool
) -> None:
    assert must_check_image(wanted, seen, applied) is expected


wanted_ones = st.builds(
    Desired,
    state=st.sampled_from(["running", "stopped", "initialized"]),
    service_revision=st.integers(0, 3),
    deploy_rev=st.sampled_from(["r1", "r2"]),
    load_balancer=st.none() | st.just("lb"),
)
seen_ones = st.builds(
    Observed,
    container_id=st.just("c"),
    image_id=st.sampled_from(["i1", "i2"]),
    running=st.booleans(),
    service_revision=st.integers(0, 3),
    start_error=st.sampled_from(["", "boom"]),
    load_balancer=st.none() | st.just("lb"),
)
images = st.none() | st.sampled_from(["i1", "i2"])


@given(wanted_ones, st.none() | seen_ones, st.booleans(), images)
def test_what_should_not_run_is_never_started(
    wanted: Desired, seen: Observed | None, restart: bool, image_id: str | None
) -> None:
    if wanted.state != "running":
        assert decide(wanted, seen, restart=restart, image_id=image_id) in (Action.NOTHING, Action.STOP)


@given(wanted_ones, st.none() | seen_ones, st.booleans(), images)
def test_a_container_is_acted_on_only_when_it_exists(
    wanted: Desired, seen: Observed | None, restart: bool, image_id: str | None
) -> None:
    action = decide(wanted, seen, restart=restart, image_id=image_id)
    assert (action is Action.CREATE) == (seen is None and wanted.state == "running")


@given(wanted_ones, seen_ones, images)
def test_a_healthy_container_is_touched_only_when_it_is_outdated(
    wanted: Desired, seen: Observed, image_id: str | None
) -> None:
    if wanted.state == "running" and seen.running and not outdated(wanted, seen, image_id):
        assert decide(wanted, seen, image_id=image_id) is Action.NOTHING


@given(wanted_ones, seen_ones)
def test_after_a_recreate_nothing_is_left_to_do(wanted: Desired, seen: Observed) -> None:
    if decide(wanted, seen) is Action.RECREATE:
        made = Observed("new", "i1", True, wanted.service_revision, "", wanted.load_balancer)
        assert decide(wanted, made, image_id="i1") is Action.NOTHING
