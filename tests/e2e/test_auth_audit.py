"""The audit log: what any service does arrives once, also when processes die in between."""

import os
import signal
from collections import Counter

from tests.support.sql import rows
from tests.support.suite import Api, Suite, soon


def newest(api: Api, path: str, limit: int = 3000) -> list[dict[str, object]]:
    logs: list[dict[str, object]] = api.call("GET", f"{path}?limit={limit}")["logs"]
    return logs


def test_a_mutation_whose_service_is_killed_right_after_it_is_recorded_once(suite: Suite, api: Api) -> None:
    api.call("POST", "/v1/grids", {"name": "audited-grid"}, status=201)
    try:
        for number in range(3):
            api.call("PUT", "/v1/grids/audited-grid", {"default_affinity": [f"label==n{number}"]})
        # The last answers are out; their events may not be.
        pids = suite.pids("grid_svc") + suite.pids("auth_svc")
        assert len(pids) >= 2
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        expected = {"create": 1, "update": 3}

        def recorded() -> bool:
            logs = newest(api, "/v1/grids/audited-grid/audit_log")
            return Counter(entry["event_name"] for entry in logs if entry["resource_type"] == "Grid") == expected

        soon(recorded, message="each mutation is in the audit log once")
        entry = newest(api, "/v1/grids/audited-grid/audit_log", 1)[0]
        assert set(entry) == {
            "id", "time", "grid", "grid_id", "service", "resource_type", "resource_name", "resource_id", "event_name",
            "event_status", "source_ip", "user_agent", "user_identity",
        }  # fmt: skip
        assert (entry["grid"], entry["event_status"], entry["source_ip"]) == ("audited-grid", "success", "127.0.0.1")
        assert entry["user_identity"] == {"id": api.call("GET", "/v1/user")["id"], "email": "admin"}
    finally:
        soon(lambda: api.request("DELETE", "/v1/grids/audited-grid").status_code in (200, 404))

    def deletion() -> bool:
        found = [entry for entry in newest(api, "/v1/audit_logs") if entry.get("grid") == "audited-grid"]
        return found[-1]["event_name"] == "delete" and not any("grid_id" in entry for entry in found)

    soon(deletion, message="entries stay, without the id of the grid that is gone")


def test_an_event_that_was_not_delivered_when_its_service_was_killed_is_delivered_by_the_next(
    suite: Suite, api: Api
) -> None:
    path = f"/v1/nodes/{api.grid}/local-node"
    agent = {"User-Agent": "kill-test/1"}
    [auth], [grid] = suite.pids("auth_svc"), suite.pids("grid_svc")

    def undelivered() -> list[object]:
        """Nobody takes events in while auth_svc stands still; grid_svc knows the caller from the request before."""
        assert api.request("GET", path).status_code == 200
        os.kill(auth, signal.SIGSTOP)
        try:
            answer = api.request("PUT", path, {"labels": ["kill=test"]}, headers=agent)
            assert answer.status_code == 200, answer.text
            waiting = rows(suite, "select payload from grid.outbox where payload::text like '%kill-test/1%'")
            os.kill(grid, signal.SIGKILL)
        finally:
            os.kill(auth, signal.SIGCONT)
        return waiting

    # Refused, and asked again, where the machine took longer than the seconds for which a caller stays known.
    assert len(soon(undelivered)) == 1
    soon(lambda: suite.pids("grid_svc") not in ([], [grid]), message="grid_svc was started again")

    def recorded() -> bool:
        found = [entry for entry in newest(api, "/v1/audit_logs") if entry.get("user_agent") == "kill-test/1"]
        return [(entry["resource_type"], entry["event_name"]) for entry in found] == [("HostNode", "update")]

    # The process that died may have claimed it, for 15 s.
    soon(recorded, message="the event is in the audit log once")
    left = "select 1 from grid.outbox where payload::text like '%kill-test/1%'"
    # The sender forgets it after the answer of the receiver, which has shown it by then.
    soon(lambda: rows(suite, left) == [], message="the event waits no longer")
    api.call("PUT", path, {"labels": []})


def test_pages(api: Api) -> None:
    *every, last = newest(api, "/v1/audit_logs")
    assert [entry["id"] for entry in every] == sorted(str(entry["id"]) for entry in every)
    assert len(newest(api, "/v1/audit_logs", 2)) == 2
    # New entries may arrive meanwhile; what is before one stays.
    for limit, expected in (
        *((f"limit={number}", every[-number:]) for number in (1, 2, 3000)),
        *(
            (wrong, every[-500:])
            for wrong in ("limit", "limit=", "limit=0", "limit=3001", "limit=x", "limit=-1", "x=1")
        ),
    ):
        assert api.call("GET", f"/v1/audit_logs?{limit}&before={last['id']}")["logs"] == expected


def test_a_secret_value_never_reaches_the_audit_log_and_nested_values_stay_json(api: Api) -> None:
    values = {"audit.token_secret": "SECRET-SENTINEL", "audit.nested": {"list": [1, "two", None, {"deep": True}]}}
    api.call("PATCH", "/v1/config", values)
    try:
        assert api.call("GET", "/v1/config?filter=audit.*") == values

        def recorded() -> bool:
            names = [
                entry["resource_id"] for entry in newest(api, "/v1/audit_logs") if entry["resource_type"] == "config"
            ]
            return set(values) <= set(names)

        soon(recorded, message="the change is in the audit log")
        assert "SECRET-SENTINEL" not in str(newest(api, "/v1/audit_logs"))
    finally:
        for key in values:
            api.call("DELETE", f"/v1/config/{key}")
