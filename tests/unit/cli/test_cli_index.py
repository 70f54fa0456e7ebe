"""Every command is in the index, can be loaded, and says what every command says; nothing is loaded in vain."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kontena_ctl import commands
from kontena_ctl.group import load
from kontena_ctl.index import COMMANDS
from kontena_ctl.main import run

FOLDER = Path(str(commands.__file__)).parent


def leaves(path: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each command that does something, with the words that call it."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
    else:
        for name, one in below.items():
            yield from leaves((*path, name), one)


ALL = dict(pair for name in COMMANDS for pair in leaves((name,), load(name)))


def test_each_module_is_in_the_index() -> None:
    assert {entry.module for entry in COMMANDS.values()} == {
        file.stem for file in FOLDER.glob("*.py") if file.stem != "__init__"
    }


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_each_command_has_the_common_options_and_says_what_it_does(path: tuple[str, ...]) -> None:
    command = ALL[path]
    names = {name for parameter in command.params for name in parameter.opts}
    assert {"-o", "--output", "--grid", "--ctx"} <= names
    assert re.match(r"[A-Z].*\.", command.help, re.DOTALL), "a sentence"


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", text, re.MULTILINE)


def test_a_typo_is_met_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["depoly"]) == 2
    assert "Did you mean 'deploy'?" in capsys.readouterr().err
    assert run(["node", "shwo"]) == 2
    assert "Did you mean 'show'?" in capsys.readouterr().err
    assert run(["ps", "--stak", "x"]) == 2
    assert "--stack" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        (["--help"], {"httpx", "rich", "asyncio", "pydantic", "yaml", "websockets", "grpc"}),
        (["version", "--help"], {"httpx", "rich", "asyncio", "pydantic", "yaml", "websockets", "grpc"}),
        (["ps"], {"rich", "asyncio", "pydantic", "yaml", "websockets", "grpc"}),
    ],
    ids=["help", "help of a command", "a command"],
)
def test_nothing_is_loaded_that_is_not_needed(words: list[str], unwanted: set[str]) -> None:
    """In place of the time, which depends on the machine: what costs it."""
    program = (
        "import sys; from kontena_ctl.main import run; run(sys.argv[1:]);"
        "print(*(name for name, found in list(sys.modules.items()) if found), file=sys.stderr)"
    )
    environment = {"PATH": "/nowhere", "KONTENA_URL": "http://127.0.0.1:1", "KONTENA_GRID": "g", "HOME": "/nowhere"}
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True, env=environment
    )
    assert set(done.stderr.split()) & unwanted == set()
