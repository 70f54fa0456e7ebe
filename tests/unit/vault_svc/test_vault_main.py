import pytest

from services.vault_svc.__main__ import main


@pytest.mark.parametrize("arguments", [["dance"], ["migrate", "now"], ["rotate-keys", "--force"], ["start-anew"]])
def test_an_unknown_command_explains_itself(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "rotate-keys" in capsys.readouterr().err
