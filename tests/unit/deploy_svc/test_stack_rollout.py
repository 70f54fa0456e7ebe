from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_spec import Link
from services.deploy_svc.domain.stack_rollout import (
    Begin,
    Done,
    Finish,
    Outcome,
    Plan,
    Removal,
    RemovalPlan,
    Remove,
    Snapshot,
    Step,
    dependencies,
    next_removal,
    next_step,
)
from tests.support.cluster import make_service

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


def test_a_service_begins_after_those_it_waits_for() -> None:
    first, second = step(0), step(1)
    chain = {"id1": frozenset({"id0"})}
    assert plan(first, second, after=chain).actions == (Begin(first),)
    assert plan(begun(0, RUNNING), second, after=chain).actions == ()
    done = begun(0, OK)
    assert plan(done, second, after=chain).actions == (Done(done), Begin(second))


def test_services_that_wait_for_no_other_begin_side_by_side() -> None:
    steps = [step(number) for number in range(4)]
    fan = {"id3": frozenset({"id0", "id1"})}
    assert plan(*steps, after=fan).actions == tuple(map(Begin, steps[:3]))
    assert plan(begun(0, OK), begun(1, RUNNING), begun(2, RUNNING), steps[3], after=fan).actions == (
        Done(begun(0, OK)),
    )
    many = [step(number) for number in range(120)]
    assert len(plan(*many).actions) == 100
    assert plan(*(begun(number, RUNNING) for number in range(100)), step(100)).actions == ()


def test_after_a_failure_nothing_begins_and_what_is_under_way_is_waited_for() -> None:
    failed = begun(0, Outcome("error", "no node", finished=True))
    assert plan(failed, begun(1, RUNNING), step(2)).actions == ()
    done = begun(1, OK)
    assert plan(failed, done, step(2)).actions == (Done(done), Finish("error", "Service s0: no node"))


def test_a_deploy_whose_state_is_final_but_not_its_time_is_waited_for() -> None:
    assert plan(begun(0, Outcome("success", None, finished=False))).actions == ()


def test_removals_come_last_and_all_at_once() -> None:
    done, old, older = begun(0, OK), step(1, "remove"), step(2, "remove")
    assert plan(done, old, older).actions == (Done(done), Remove(old), Remove(older), Finish("success"))
    assert plan(done, old, gone=frozenset({"id1"})).actions == (Done(done), Done(old), Finish("success"))


def test_a_service_that_others_link_to_is_not_removed() -> None:
    (finish,) = plan(step(0, "remove"), linkers={"id0": ["x/y"]}).actions
    assert finish == Finish(
        "error", "deploy failed: Cannot delete service that is linked to another service: s0 is linked to by x/y"
    )


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


def test_what_a_service_looks_at_on_its_node_comes_before_it() -> None:
    a, b = named("a"), named("b")
    order = {"a": "a", "b": "b"}
    assert dependencies([a, b], order) == {"a": frozenset(), "b": frozenset()}
    rules: list[dict[str, Any]] = [
        {"volumes_from": ("a-%s",)},
        {"net": "container:a-%s"},
        {"affinity": ("service!=a",)},
        {"links": (Link("stack", "a", "a"),)},
    ]
    for spec in rules:
        assert dependencies([named("b", **spec)], order) == {"b": frozenset({"a"})}


def named(name: str, state: Any = "running", **spec: Any) -> Service:
    return replace(make_service(**spec), id=name, name=name, state=state)


def test_a_stack_is_removed_dependents_first_and_what_is_independent_side_by_side() -> None:
    links: dict[str, Any] = {"links": (Link("stack", "db", "db"),)}
    db, web, log = named("db"), named("web", **links), named("log")
    assert removal(db, web, log) == RemovalPlan(stop=(web, log))
    web, log = named("web", "stopped", **links), named("log", "stopped")
    assert removal(db, web, log) == RemovalPlan(delete=(web, log))
    assert removal(db) == RemovalPlan(stop=(db,))
    assert removal() == RemovalPlan(over=True)


def test_services_that_link_in_a_circle_are_removed_together() -> None:
    a, b = named("a", links=(Link("stack", "b", "b"),)), named("b", links=(Link("stack", "a", "a"),))
    assert removal(a, b) == RemovalPlan(stop=(a, b))


def removal(*services: Service) -> RemovalPlan:
    return next_removal(Removal(NOW, services, {}, ()), NOW)
