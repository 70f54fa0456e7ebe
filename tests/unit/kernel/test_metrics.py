"""Metrics are for whoever has the token."""

import httpx
import pytest
from pydantic import SecretStr, TypeAdapter, ValidationError

from services.kernel import metrics
from services.kernel.settings import MetricsToken
from tests.support.ports import free_port

TOKEN = "0123456789abcdef"


def test_only_the_token_opens_them() -> None:
    address = f"127.0.0.1:{free_port()}"
    metrics.serve(address, SecretStr(TOKEN))
    for shown in ("", TOKEN, f"Bearer {TOKEN[:-1]}", f"bearer {TOKEN}", f"Bearer {TOKEN}0", b"Bearer \xff"):
        answer = httpx.get(
            f"http://{address}/metrics",
            headers=[(b"authorization", shown if isinstance(shown, bytes) else shown.encode())],
        )
        assert (answer.status_code, "python_info" in answer.text) == (401, False), shown
        assert answer.headers["www-authenticate"] == "Bearer"
    answer = httpx.get(f"http://{address}/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, "python_info" in answer.text) == (200, True)


def test_without_a_token_they_are_open() -> None:
    address = f"127.0.0.1:{free_port()}"
    metrics.serve(address, None)
    assert "python_info" in httpx.get(f"http://{address}/metrics").text


def test_an_empty_token_is_none_and_a_short_one_is_refused() -> None:
    read = TypeAdapter[SecretStr | None](MetricsToken).validate_python
    assert read("") is None
    with pytest.raises(ValidationError):
        read("short")
