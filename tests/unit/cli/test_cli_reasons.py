"""`kctl explain`: the reason why a service is not as it shall be."""

from typing import Any

import pytest

from kontena_ctl.following import missing_of_service
from kontena_ctl.reasons import Facts, reasons


def service(**more: Any) -> dict[str, Any]:
    counts = {"running": more.pop("running", 1), "total": 1}
    given = {"id": "g/shop/web", "state": "running", "instances": 1, "strategy": "ha", "revision": 2}
    return {**given, "instance_counts": counts, **more}


RUNNING = {"instance_number": 1, "state": "running", "desired_state": "running", "node": {"name": "n1"}}
ONLINE = {"name": "n1", "status": "online"}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("It was never deployed: kctl deploy shop/web", {"service": service(state="initialized")}),
    ("It was stopped: kctl start shop/web", {"service": service(state="stopped")}),
    ("All is as it shall be", {"service": service()}),
    ("The grid has no nodes", {"nodes": []}),
    ("No node is online", {"nodes": [{"name": "n1", "status": "offline"}]}),
    ("Node n1 is offline", {"nodes": [{"name": "n1", "status": "offline", "connection_error": "gone"}]}),
    ("1 instance not placed on any node", {"instances": []}),
    ("Instance 1 on node n1 could not be made as wanted: no image", {"instances": [{**RUNNING, "error": "no image"}]}),
    ("Instance 1 on node n1 is missing, wanted running", {"instances": [{**RUNNING, "state": "missing"}]}),
    (
        "Container web-1 ended for lack of memory",
        {"containers": [{"name": "web-1", "status": "stopped", "state": {"oom_killed": True}}]},
    ),
    (
        "Container web-1 is stopped, exit code 3: kctl logs shop/web",
        {"containers": [{"name": "web-1", "status": "stopped", "state": {"exit_code": 3}}]},
    ),
    (
        "Container web-1 does not pass its health check (http, port 80)",
        {
            "service": service(health_check={"protocol": "http", "port": 80}),
            "containers": [{"name": "web-1", "status": "running", "health_status": {"status": "unhealthy"}}],
        },
    ),
    (
        "It ended 2 times lately and was started again; last: exit code 1",
        {
            "events": [
                {"type": "service:instance_crash", "severity": 3, "message": "exit code 2"},
                {"type": "service:instance_crash", "severity": 3, "message": "exit code 1"},
            ]
        },
    ),
    (
        "Told last (t): deploy of web failed: no room",
        {
            "events": [
                {"type": "service:deploy", "severity": 3, "message": "deploy of web failed: no room", "created_at": "t"}
            ]
        },
    ),
]


@pytest.mark.parametrize(("sentence", "given"), CASES, ids=[sentence for sentence, _ in CASES])
def test_the_reason_is_said(sentence: str, given: dict[str, Any]) -> None:
    usual: dict[str, Any] = {
        "service": service(),
        "instances": [RUNNING],
        "containers": [],
        "events": [],
        "nodes": [ONLINE],
    }
    assert any(one.startswith(sentence) for one in reasons(Facts(**{**usual, **given})))


def test_what_went_wrong_before_a_good_deploy_is_forgotten() -> None:
    events = [
        {"type": "service:deploy", "severity": 3, "message": "deploy of web failed: no room", "created_at": "t"},
        {"type": "service:deploy", "severity": 1, "message": "deploy of web finished"},
    ]
    assert reasons(Facts(service(), [RUNNING], [], events, [ONLINE])) == [
        "All is as it shall be: 1 run, 1 instance wanted, revision 2."
    ]


def test_waiting_says_what_is_missing() -> None:
    ready = {**RUNNING, "rev": "2", "deploy_rev": "2"}
    assert missing_of_service(service(), [ready], "running") == ""
    assert missing_of_service(service(), [], "running") == "0 of 1 instance as wanted"
    assert missing_of_service(service(), [{**ready, "rev": "1"}], "running") == "0 of 1 instance as wanted"
    assert missing_of_service(service(state="stopped"), [ready], "running") == "it is stopped"
    assert missing_of_service(service(), [ready], "stopped") == "1 instance not stopped yet"
    sick = service(health_status={"healthy": 0, "unhealthy": 1, "total": 1})
    assert missing_of_service(sick, [ready], "running") == "0 of 1 healthy"
