"""Contexts: where they come from, what wins, how they are kept."""

import json
import stat
from pathlib import Path

import pytest

from kontena_ctl.contexts import Context, Contexts
from kontena_ctl.failures import Failure


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {
        "KONTENA_CTL_CONFIG": str(folder / "own.json"),
        "KONTENA_CONFIG": str(folder / "kontena_client.json"),
        **more,
    }


def of_public_cli(folder: Path) -> None:
    server = {"name": "m1", "url": "http://m1", "grid": "e2e", "token": "t1", "token_expires_at": 0}
    document = {"current_server": "m1", "servers": [server, {"name": "m2", "url": "http://m2"}], "accounts": []}
    (folder / "kontena_client.json").write_text(json.dumps(document))


def test_what_the_public_cli_has_is_taken_over_and_its_file_is_left_alone(tmp_path: Path) -> None:
    of_public_cli(tmp_path)
    before = (tmp_path / "kontena_client.json").read_text()
    contexts = Contexts.load(environment(tmp_path))
    assert contexts.choose(environment={}) == Context("m1", "http://m1", "t1", "e2e")
    contexts.put(Context("m3", "http://m3"), use=True)
    again = Contexts.load(environment(tmp_path))
    assert sorted(again.known) == ["m1", "m2", "m3"]
    assert again.current == "m3"
    assert (tmp_path / "kontena_client.json").read_text() == before


def test_only_the_owner_reads_the_file(tmp_path: Path) -> None:
    contexts = Contexts.load(environment(tmp_path))
    contexts.put(Context("m1", "http://m1", "secret"), use=True)
    assert stat.S_IMODE((tmp_path / "own.json").stat().st_mode) == 0o600


def test_the_environment_wins(tmp_path: Path) -> None:
    of_public_cli(tmp_path)
    given = environment(tmp_path, KONTENA_URL="http://other", KONTENA_TOKEN="t2", KONTENA_GRID="g2")
    chosen = Contexts.load(given).choose(environment=given)
    assert (chosen.url, chosen.token, chosen.grid) == ("http://other", "t2", "g2")


def test_a_context_that_is_named_does_not_get_the_token_of_another_master(tmp_path: Path) -> None:
    of_public_cli(tmp_path)
    given = environment(tmp_path, KONTENA_URL="http://other", KONTENA_TOKEN="t2")
    assert Contexts.load(given).choose("m1", environment=given).token == "t1"


def test_without_any_master_the_next_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure) as told:
        Contexts.load(environment(tmp_path)).choose(environment={})
    assert "kctl login URL" in told.value.hints


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text("{")
    with pytest.raises(Failure, match=r"own\.json cannot be read"):
        Contexts.load(environment(tmp_path))
