from collections.abc import Callable

import pytest

from services.auth_svc.__main__ import main as auth
from services.deploy_svc.__main__ import main as deploy
from services.grid_svc.__main__ import main as grid
from services.kernel import entry
from services.vault_svc.__main__ import main as vault

Main = Callable[[list[str]], int]


@pytest.mark.parametrize("main", [auth, grid, deploy, vault])
@pytest.mark.parametrize("arguments", [["dance"], ["migrate", "now"], ["rotate-keys", "--force"], ["start-anew"]])
def test_a_word_that_is_no_command_prints_those_that_are(
    main: Main, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("usage: python -m services.")
    assert "migrate" in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [([], "served"), (["put", "a", "b"], ("a", "b")), (["admin", "x", "-y"], ["x", "-y"]), (["admin"], [])],
)
def test_a_command_gets_its_arguments(arguments: list[str], told: object) -> None:
    done: list[object] = []
    commands: dict[str, entry.Command] = {
        "": lambda: done.append("served"),
        "put GRID FILE": lambda *words: done.append(words),
        "admin ...": done.append,
    }
    assert entry.run("some_svc", arguments, commands) == 0
    assert done == [told]
