"""Clients that stop in the middle are sent away and cost nobody else anything."""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.gateway.echo import Echo
from tests.integration.gateway.proxy import Gateway, running, settings
from tests.integration.gateway.wire import connect


@pytest.fixture(scope="module")
def strict(echo: Echo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("strict")
    with running(settings(folder, echo.port, request_timeout_seconds=0.5), folder) as gateway:
        yield gateway


@pytest.mark.parametrize(
    "text",
    [
        b"GET /v1/grids HTTP/1.1\r\nhost: x\r\nx-slow:",
        b"PUT /v1/services/g/s/web HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
        b"PUT /v1/services/g/s/web HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
        b"POST /oauth2/token HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\ngrant",
    ],
    ids=["headers", "body", "chunk", "form"],
)
def test_half_a_request_is_408(strict: Gateway, text: bytes) -> None:
    with connect(strict.target) as connection:
        connection.sock.sendall(text)
        status, headers = connection.head()
        assert (status, json.loads(connection.body(headers))) == (408, {"error": "Request timeout"})
        assert headers["content-type"] == "application/json"


def test_many_half_requests_do_not_disturb(gateway: Gateway) -> None:
    with httpx.Client(base_url=gateway.url, timeout=30) as client:
        holders = [connect(gateway.target) for _ in range(200)]
        connections = [holder.__enter__() for holder in holders]
        for connection in connections:
            connection.sock.sendall(b"POST /v1/grids HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        assert {client.get("/v1/grids").status_code for _ in range(20)} == {200}
        for holder in holders:
            holder.__exit__(None, None, None)
        assert client.get("/v1/grids").status_code == 200
