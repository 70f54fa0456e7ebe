from datetime import UTC, datetime, timedelta
from typing import Any

from services.deploy_svc.domain.stack_rollout import (
    Begin,
    Done,
    Finish,
    Outcome,
    Plan,
    Remove,
    Snapshot,
    Step,
    next_step,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def step(position: int, action: Any = "deploy", **changed: Any) -> Step:
    values: dict[str, Any] = {"service_deploy_id": None, "started_at": None, "done": False}
    return Step(position, action, f"id{position}", f"s{position}", **(values | changed))


def begun(position: int, outcome: Outcome | None, started_at: datetime = NOW) -> Step:
    return step(position, service_deploy_id=f"d{position}", started_at=started_at, outcome=outcome)


def plan(*steps: Step, gone: frozenset[str] = frozenset(), now: datetime = NOW, **changed: Any) -> Plan:
    existing = {item.service_id for item in steps} - gone
    return next_step(Snapshot(steps, existing, **changed), now)


RUNNING, OK = Outcome("ongoing", None, finished=False), Outcome("success", None, finished=True)


def test_services_begin_one_by_one() -> None:
    first, second = step(0), step(1)
    assert plan(first, second).actions == (Begin(first),)
    assert plan(begun(0, RUNNING), second).actions == ()
    done = begun(0, OK)
    assert plan(done, second).actions == (Done(done), Begin(second))


def test_a_deploy_whose_state_is_final_but_not_its_time_is_waited_for() -> None:
    assert plan(begun(0, Outcome("success", None, finished=False))).actions == ()


def test_removals_come_last_and_all_at_once() -> None:
    done, old, older = begun(0, OK), step(1, "remove"), step(2, "remove")
    assert plan(done, old, older).actions == (Done(done), Remove(old), Remove(older), Finish("success"))
    assert plan(done, old, gone=frozenset({"id1"})).actions == (Done(done), Done(old), Finish("success"))


def test_a_service_that_others_link_to_is_not_removed() -> None:
    (finish,) = plan(step(0, "remove"), linkers={"id0": ["x/y"]}).actions
    assert finish == Finish("error", "Service s0 cannot be removed: it is linked to: x/y")


def test_every_failure_has_a_reason_and_ends_the_deploy() -> None:
    failed = Outcome("error", "no node", finished=True)
    assert plan(begun(0, failed), step(1)).actions == (Finish("error", "Service s0: no node"),)
    silent = Outcome("error", None, finished=True)
    assert plan(begun(0, silent)).actions == (Finish("error", "Service s0: its deploy failed"),)
    assert plan(begun(0, None)).actions == (Finish("error", "The deploy of service s0 was removed"),)
    (finish,) = plan(step(0), gone=frozenset({"id0"})).actions
    assert finish == Finish("error", "Service s0 was removed during the deploy")


def test_a_service_has_ten_minutes() -> None:
    waiting = begun(0, RUNNING)
    assert plan(waiting, now=NOW + timedelta(seconds=599)).actions == ()
    (finish,) = plan(waiting, now=NOW + timedelta(seconds=600)).actions
    assert finish == Finish("error", "Service s0: not deployed within 600 seconds")
    assert plan(begun(0, OK), now=NOW + timedelta(hours=1)).actions[-1] == Finish("success")
