"""Lines of `make logs`."""

import json
from pathlib import Path

import pytest

from deploy.local import probes
from deploy.local.logs import human_line, machine_line, parts

SERVICE = json.dumps(
    {
        "service": "auth_svc",
        "event": "not ready",
        "error": "refused",
        "level": "warning",
        "timestamp": "2026-11-28T04:15:37.511868Z",
    }
)
ACCESS = json.dumps(
    {"time": "2026-11-28T04:15:38.002Z", "method": "GET", "path": "/v1/user", "status": 401, "duration_ms": 3}
)


def test_a_line_for_people_has_time_part_level_and_words() -> None:
    line = human_line("auth_svc", SERVICE, colored=False)
    assert line == "04:15:37.511 auth_svc     warning not ready  error=refused"


def test_a_request_is_told_by_method_path_and_status() -> None:
    line = human_line("gateway", ACCESS, colored=False)
    assert line == "04:15:38.002 gateway      info    GET /v1/user 401  duration_ms=3"


def test_other_words_stay_as_they_are() -> None:
    assert human_line("gateway", "[warning] plain", colored=False).split(maxsplit=1) == ["gateway", "[warning] plain"]


def test_a_trace_is_shown_below_its_line() -> None:
    line = json.dumps({"event": "failed", "level": "error", "exception": "Traceback:\n  File x", "timestamp": ""})
    assert human_line("deploy_svc", line, colored=False).splitlines()[1:] == ["    Traceback:", "      File x"]


def test_only_what_is_worth_it_is_colored() -> None:
    assert human_line("auth_svc", SERVICE, colored=True).startswith("\033[33m")
    assert "\033" not in human_line("gateway", ACCESS, colored=True)


def test_machines_get_one_object_per_line_with_its_part() -> None:
    assert json.loads(machine_line("auth_svc", SERVICE)) == {"part": "auth_svc", **json.loads(SERVICE)}
    assert json.loads(machine_line("gateway", "plain [1]")) == {"part": "gateway", "event": "plain [1]"}


def test_lines_are_told_apart_by_the_file_they_come_from() -> None:
    shown = ["==> /x/logs/agent.log <==\n", "one\n", "\n", "==> /x/logs/auth_svc.log <==\n", "two\n"]
    assert list(parts(shown)) == [("agent", "one"), ("auth_svc", "two")]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            [SERVICE, json.dumps({"event": "goes on", "level": "info"}), ACCESS, "words"],
            " Its last problem: 04:15:37.511 auth_svc warning not ready error=refused See {log}",
        ),
        (["words"], " See {log}"),
        (None, " See {log}"),
    ],
)
def test_who_waited_in_vain_is_told_the_last_problem(tmp_path: Path, lines: list[str] | None, told: str) -> None:
    log = tmp_path / "auth_svc.log"
    if lines is not None:
        log.write_text("\n".join(lines))
    with pytest.raises(probes.NotUp) as caught:
        probes.wait_until("auth_svc was not healthy", lambda: False, seconds=0, log=log)
    assert str(caught.value) == f"auth_svc was not healthy within 0 s.{told.format(log=log)}"
