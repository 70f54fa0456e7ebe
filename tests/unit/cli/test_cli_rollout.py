"""A deploy in words: what changed, what it waits for, how it ended."""

import io
from typing import Any

from kontena_ctl.failures import Exit
from kontena_ctl.output import Format, Output
from kontena_ctl.plans import rebalance_lines
from kontena_ctl.progress import Json, Plain
from kontena_ctl.rollout import Rollout, changes, conclusion, of_service, of_stack


def service(name: str, state: str, instances: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "id": "d1",
        "service_id": f"local/{name}",
        "state": state,
        "instance_count": 2,
        "instance_deploys": instances,
        **more,
    }


def instance(number: int, state: str, **more: Any) -> dict[str, Any]:
    return {"instance_number": number, "node": "n1", "state": state, **more}


def stack(state: str, *services: dict[str, Any], **more: Any) -> Rollout:
    document = {"id": "d0", "stack_id": "local/shop", "state": state, "service_deploys": list(services), **more}
    return of_stack(document, ["db", "web"])


def test_each_service_is_told_once_per_change() -> None:
    begun = stack("ongoing", service("shop/db", "ongoing", [instance(1, "ongoing")]))
    assert list(changes(None, begun)) == [
        "shop/db: deploying, 0 of 2 instances on n1",
        "shop/web: waits for its turn",
    ]
    further = stack("ongoing", service("shop/db", "ongoing", [instance(1, "success")]))
    assert list(changes(begun, further)) == ["shop/db: deploying, 1 of 2 instances on n1"]
    assert list(changes(further, further)) == []


def test_what_did_not_begin_does_not_wait_once_all_is_over() -> None:
    failed = service("shop/db", "error", [], reason="no image", finished_at="now")
    ended = stack("error", failed, reason="shop/db: no image", finished_at="now")
    assert [one.name for one in ended.services] == ["shop/db"]
    assert ended.exit is Exit.DEPLOY_FAILED
    assert conclusion(ended) == "the deploy of stack shop failed: shop/db: no image"


def test_an_instance_that_no_node_takes_says_why_and_names_no_node() -> None:
    found = of_service(
        service("null/web", "error", [instance(1, "error", node="(none)", error="no room")], finished_at="now")
    )
    assert list(changes(None, found)) == ["web: failed, 0 of 2 instances: no room"]


def test_a_rollback_has_an_exit_code_of_its_own() -> None:
    found = of_service(
        service("null/web", "error", [], reason="web-1: crashed; rolling back to revision 3", finished_at="now")
    )
    assert found.exit is Exit.ROLLED_BACK
    assert found.rolled_back_to == ("web",)
    assert conclusion(found) == "the deploy of service web failed; web went back to what ran before"


def test_a_deploy_that_was_canceled_says_so() -> None:
    ended = stack("error", reason="by admin: nothing had begun", finished_at="now", canceled_at="now")
    assert conclusion(ended) == "the deploy of stack shop was canceled: by admin: nothing had begun"
    assert ended.exit is Exit.DEPLOY_FAILED


def test_a_deploy_that_has_ended_but_for_its_time_goes_on() -> None:
    found = of_service(service("null/web", "error", [], reason="half written"))
    assert not found.finished
    assert found.services[0].state == "ongoing"


def test_without_a_terminal_there_is_a_sign_of_life_now_and_then() -> None:
    err, times = io.StringIO(), iter([0.0, 0.0, 4.0, 11.0, 12.0])
    shown = Plain(Output(Format.TABLE, io.StringIO(), err), lambda: next(times))
    rollout = of_service(service("null/web", "ongoing", [instance(1, "ongoing")]))
    for _ in range(3):
        shown.show(rollout, "getting image web:1")
    shown.show(rollout, "waiting for a node")
    assert err.getvalue().splitlines() == [
        "web: deploying, 0 of 2 instances on n1",
        "getting image web:1",
        "still waiting for service web, 11 s so far",
        "waiting for a node",
    ]


def test_programs_get_a_line_of_json_for_each_change() -> None:
    err = io.StringIO()
    shown = Json(Output(Format.TABLE, io.StringIO(), err))
    rollout = of_service(service("null/web", "ongoing", []))
    shown.show(rollout)
    shown.show(rollout)
    shown.show(rollout, "news")
    assert len(err.getvalue().splitlines()) == 2


def test_a_rebalance_is_told_move_by_move() -> None:
    move = {"instance_number": 2, "current_node": "n1", "node": "n2"}
    web = {"service_id": "g/null/web", "moves": [move]}
    db = {"service_id": "g/null/db", "moves": [], "reason": "data"}
    assert list(rebalance_lines([web, db])) == [
        "g/null/web: 1 instance to move",
        "    instance 2: n1 -> n2",
        "g/null/db: nothing to move",
        "    data",
    ]
    assert list(rebalance_lines([])) == ["Nothing to move: every service lies evenly on its nodes"]
