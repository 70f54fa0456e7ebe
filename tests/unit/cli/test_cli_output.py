"""Plain output, compared with golden files: `KONTENA_GOLDEN=write` writes them."""

import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kontena_ctl import words
from kontena_ctl.output import Format, Output
from kontena_ctl.plans import lines, summary
from kontena_ctl.resources import ALL
from tests.support.suite import REPOSITORY

GOLDEN = Path(__file__).parent / "golden"
DOCUMENTS: dict[str, Any] = json.loads((GOLDEN / "documents.json").read_text())
BY_NAME = {resource.name: resource for resource in ALL}


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "now", lambda: datetime(2026, 11, 28, 12, 0, tzinfo=UTC))


def compare(name: str, text: str) -> None:
    file = GOLDEN / name
    if os.environ.get("KONTENA_GOLDEN") == "write":
        file.write_text(text)
    assert text == file.read_text(), f"see {file.relative_to(REPOSITORY)}"


def test_each_resource_has_a_golden_table() -> None:
    assert set(BY_NAME) == set(DOCUMENTS["lists"])


@pytest.mark.parametrize("name", DOCUMENTS["lists"])
@pytest.mark.parametrize("format_", [Format.TABLE, Format.WIDE])
def test_tables(name: str, format_: Format) -> None:
    out = io.StringIO()
    Output(format_, out).table(BY_NAME[name].columns, DOCUMENTS["lists"][name])
    compare(f"{name}.{format_}.txt", out.getvalue())


def test_a_table_without_rows_has_its_titles() -> None:
    out = io.StringIO()
    Output(Format.TABLE, out).table(BY_NAME["secret"].columns, [])
    assert out.getvalue() == "SECRET  USED BY  CHANGED\n"


def test_details_of_one() -> None:
    out = io.StringIO()
    Output(Format.TABLE, out).details(DOCUMENTS["lists"]["service"][0])
    compare("service.details.txt", out.getvalue())


def test_a_plan() -> None:
    plan = DOCUMENTS["plan"]
    compare("plan.txt", "\n".join([summary(plan), *(line for line, _ in lines(plan)), ""]))


def test_no_terminal_no_colour() -> None:
    err = io.StringIO()
    Output(Format.TABLE, io.StringIO(), err).say("done", "green")
    assert err.getvalue() == "done\n"


def test_control_characters_of_others_do_not_reach_the_terminal() -> None:
    out = io.StringIO()
    rows = [{"name": "a\x1b[31m\nb", "services": []}]
    Output(Format.TABLE, out).table(BY_NAME["secret"].columns, rows)
    assert "\x1b" not in out.getvalue()
    assert len(out.getvalue().splitlines()) == 2


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colours_are_for_terminals_that_want_them(
    variables: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    err = Terminal()
    Output(Format.TABLE, io.StringIO(), err).say("done", "green")
    assert ("\x1b[32m" in err.getvalue()) is coloured
