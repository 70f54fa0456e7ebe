"""docs/errors.md is what the gateway does."""

import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.local_replies import _TEXTS
from services.kernel import errors
from services.kernel.interceptor import status_metadata
from tests.integration.gateway.conftest import Caller
from tests.integration.gateway.wire import connect

TEXT = (Path(__file__).parents[3] / "docs/errors.md").read_text()


def rows(title: str) -> list[list[str]]:
    """The rows of the table under a heading."""
    section = TEXT.partition(f"## {title}")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def body(cell: str) -> Any:
    return json.loads(cell.strip("`"))


RAISED = {
    "Unauthenticated": errors.Unauthenticated("m"),
    "ValidationFailed": errors.ValidationFailed({"name": "m"}),
    **{
        kind.__name__: kind("m")
        for kind in (
            errors.InvalidRequest, errors.Forbidden, errors.NotFound, errors.StaleVersion, errors.RateLimited,
            errors.RequestTooLarge, errors.Unavailable,
        )
    },
}  # fmt: skip


@pytest.mark.parametrize(("name", "code", "status", "shown"), rows("What services say"))
def test_what_services_raise(call: Caller, name: str, code: str, status: str, shown: str) -> None:
    error = RAISED[name]
    trailing = [pair for pair in status_metadata(error) if isinstance(pair[1], str)]
    response = call("GET", "/v1/grids", plan={"abort": [code, "m"], "trailing": trailing})
    assert error.code.name == code
    assert (response.status_code, response.json()) == (int(status), body(shown))
    assert response.headers.get("retry-after") == ("1" if status == "503" else None)


def test_every_kind_of_error_is_in_the_table() -> None:
    """Of the shared ones: what a service derives for its own callers has their codes."""
    subclasses = errors.DomainError.__subclasses__()
    kinds = {kind.__name__ for kind in subclasses if kind.__module__ == errors.__name__} - {"OAuthError"}
    assert {row[0] for row in rows("What services say")} == kinds


@pytest.mark.parametrize(("code", "status", "shown"), rows("What a bare gRPC status becomes"))
def test_bare_status(call: Caller, code: str, status: str, shown: str) -> None:
    response = call("POST", "/v1/grids", {}, plan={"abort": [code, "m"]})
    assert (response.status_code, response.json()) == (int(status), body(shown))
    assert response.headers["content-type"] == "application/json"
    assert response.headers.get("retry-after") == ("1" if status == "503" else None)


def test_every_code_is_in_the_table() -> None:
    codes = {code.name for code in grpc.StatusCode} - {"OK"}
    assert [row[0] for row in rows("What a bare gRPC status becomes")] == sorted(
        codes, key=lambda name: grpc.StatusCode[name].value[0]
    )


OWN = {row[0]: (int(row[1]), body(row[2])) for row in rows("What the gateway answers itself")}


def test_every_text_of_ours_is_in_the_table() -> None:
    listed = {(status, shown["error"]) for status, shown in OWN.values()}
    assert {(status, text) for status, text in _TEXTS.items() if status not in {500, 502}} <= listed


@pytest.mark.parametrize(
    ("when", "method", "path", "content"),
    [
        ("body of `/v1` is not one JSON object", "POST", "/v1/grids", b"["),
        ("malformed HTTP, `%00` or `#` in the path", "GET", "/v1/nodes/g/%00", b""),
        ("no such route or method, internal RPC", "GET", "/nope", b""),
        ("`/v1/etcd`", "GET", "/v1/etcd/g//a/b", b""),
        ("`/v1/etcd`", "POST", "/v1/etcd/g//a/b", b"{}"),
        ("body too large", "POST", "/v1/grids", b"x" * (5 << 20)),
        ("headers too large", "GET", "/v1/grids", b""),
    ],
)
def test_own_answer(call: Caller, when: str, method: str, path: str, content: bytes) -> None:
    extra = {"x_big": "x" * 20_000} if "headers" in when else {}
    response = call(method, path, content, **extra)
    assert (response.status_code, response.json()) == OWN[when]


def test_wrong_type_names_the_field(call: Caller) -> None:
    response = call("POST", "/v1/grids", {"name": {}})
    assert response.status_code == OWN["value of the wrong type, body contradicts path"][0]
    assert "name" in response.json()["error"]


def test_upgrade(gateway: Any) -> None:
    with connect(gateway.target) as connection:
        connection.send("GET", "/v1/grids", upgrade="websocket", connection="upgrade")
        status, headers = connection.head()
        assert (status, json.loads(connection.body(headers))) == OWN["protocol upgrade, other than that of exec"]


def test_rows_that_failures_show() -> None:
    """The other rows need broken or slow parties: test_failures.py, test_slow_clients.py and test_malformed_http.py."""
    elsewhere = {408, 429, 501, 503, 504}
    shown = {400, 403, 404, 413, 431}
    assert {status for status, _ in OWN.values()} == elsewhere | shown
