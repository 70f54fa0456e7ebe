"""What the logs say, and what they keep to themselves."""

import pytest

from services.kernel.logs import redact


@pytest.mark.parametrize("key", ["token", "access_token", "client_secret", "PASSWORD", "invite_code", "code", "value"])
def test_values_of_secret_looking_keys_are_not_written(key: str) -> None:
    assert redact(None, "info", {key: "s3cret"}) == {key: "[redacted]"}


@pytest.mark.parametrize("key", ["exit_code", "status_code", "event", "secret_name", "codec"])
def test_other_values_are_written(key: str) -> None:
    assert redact(None, "info", {key: 137}) == {key: 137}
