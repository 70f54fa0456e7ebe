"""Arguments of the offline commands; nothing here touches a database."""

import pytest

from services.auth_svc import admin


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["create-user"], ["create-token", "--user"]])
def test_incomplete_admin_commands_end_with_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        admin.main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["-5", "1h", "", "1.5"])
def test_a_lifetime_that_is_none_is_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        admin.main(["create-token", "--user", "admin", "--expires-in", seconds])
    assert "is no number of seconds; 0 means never" in capsys.readouterr().err


def test_defaults_of_create_token() -> None:
    options = admin.parser().parse_args(["create-token", "--user", "admin"])
    assert (options.scope, options.expires_in) == ("user", "7200")
