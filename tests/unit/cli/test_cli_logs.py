"""What `kctl logs --search` makes of a master that searches a part at a time."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kontena_ctl.main import run
from tests.support.canned import Server


@pytest.fixture
def master(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        for name, value in {
            "KONTENA_URL": server.url,
            "KONTENA_TOKEN": "t",
            "KONTENA_GRID": "g1",
            "KONTENA_CTL_CONFIG": str(tmp_path / "contexts.json"),
            "KONTENA_CONFIG": str(tmp_path / "none.json"),
        }.items():
            monkeypatch.setenv(name, value)
        yield server
        server.shutdown()
        thread.join()


def answer(*texts: str, **beside: Any) -> tuple[int, dict[str, str], str]:
    logs = [{"id": text, "name": "web-1", "created_at": "2026-11-01T12:00:00.000Z", "data": text} for text in texts]
    return 200, {}, json.dumps({"logs": logs, **beside})


def asked(master: Server) -> list[dict[str, list[str]]]:
    return [parse_qs(urlsplit(path).query) for _, path, _ in master.asked]


def test_a_search_goes_on_until_all_was_looked_at(master: Server, capsys: pytest.CaptureFixture[str]) -> None:
    master.answers = [
        answer("four", "five", unsearched={"before": "id4"}),
        answer(unsearched={"before": "id2"}),
        answer("one"),
    ]
    assert run(["logs", "shop/web", "--search", "o", "-n", "5"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == ["web-1: one", "web-1: four", "web-1: five"]
    assert [query.get("before") for query in asked(master)] == [None, ["id4"], ["id2"]]
    assert [query["limit"] for query in asked(master)] == [["5"], ["3"], ["3"]]
    assert all(query["search"] == ["o"] for query in asked(master))
    assert "searching lines before id4" in err


def test_a_search_ends_when_it_found_enough(master: Server, capsys: pytest.CaptureFixture[str]) -> None:
    master.answers = [answer("two", "three")]
    assert run(["logs", "--search", "t", "-n", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == ["web-1: two", "web-1: three"]
    assert len(master.asked) == 1
