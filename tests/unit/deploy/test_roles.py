import importlib.util

import pytest

from deploy.roles import ROLES, main, role_of


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_a_program_that_exists(role: str) -> None:
    flag, module, *_ = ROLES[role]
    assert flag == "-m"
    assert importlib.util.find_spec(module) is not None


def test_the_role_of_a_process_is_found_in_its_command_line() -> None:
    assert role_of(["/venv/bin/python", "-m", "services.auth_svc", ""]) == "auth_svc"
    assert role_of(["/venv/bin/python", "-m", "services.auth_svc", "admin", "list-users"]) == "auth_svc"
    assert role_of(["/venv/bin/python", "-m", "gateway", "run"]) == "gateway"
    assert role_of(["sh"]) is None


@pytest.mark.parametrize("arguments", [[], ["help"], ["auth"]])
def test_anything_else_is_answered_with_the_roles(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "grid_svc" in capsys.readouterr().err
