"""HTTP/1.0, which proxies speak by default."""

import json

import pytest

from tests.integration.gateway.conftest import Caller
from tests.integration.gateway.proxy import Gateway
from tests.integration.gateway.wire import Connection, connect


def rest(connection: Connection) -> bytes:
    """What still comes until the gateway closes."""
    while data := connection.sock.recv(65536):
        connection.buffer += data
    return connection.buffer


@pytest.mark.parametrize("host", ["host: x\r\n", ""])
def test_it_is_answered_and_the_connection_closed(gateway: Gateway, call: Caller, host: str) -> None:
    with connect(gateway.target) as connection:
        connection.sock.sendall(f"GET /v1/grids HTTP/1.0\r\n{host}x-request-id: old-1\r\n\r\n".encode())
        status, headers = connection.head()
        assert status == 200
        assert "transfer-encoding" not in headers
        assert json.loads(rest(connection)) == {"grids": []}
    assert call.echo.calls.pop("old-1").path.endswith("/ListGrids")


def test_a_body_arrives(gateway: Gateway, call: Caller) -> None:
    body = b'{"name":"g"}'
    with connect(gateway.target) as connection:
        head = f"POST /v1/grids HTTP/1.0\r\nhost: x\r\nx-request-id: old-2\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sock.sendall(head.encode() + body)
        assert connection.head()[0] == 200
    assert call.echo.calls.pop("old-2").message.name == "g"


def test_a_stream_is_what_comes_before_the_end(gateway: Gateway) -> None:
    with connect(gateway.target) as connection:
        plan = json.dumps({"bodies": ["one\n", "two\n"]})
        path = "/v1/services/g/s/web/container_logs"
        connection.sock.sendall(f"GET {path} HTTP/1.0\r\nhost: x\r\nx-test: {plan}\r\n\r\n".encode())
        assert connection.head()[0] == 200
        assert rest(connection) == b"one\ntwo\n"


def test_errors_are_json(gateway: Gateway) -> None:
    with connect(gateway.target) as connection:
        connection.sock.sendall(b"GET /nope HTTP/1.0\r\nhost: x\r\n\r\n")
        assert connection.head()[0] == 404
        assert json.loads(rest(connection)) == {"error": "Not found"}


def test_a_connection_is_kept_for_who_asks(gateway: Gateway) -> None:
    with connect(gateway.target) as connection:
        for _ in range(2):
            connection.sock.sendall(b"GET /v1/ping HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\n")
            status, headers = connection.head()
            assert (status, json.loads(connection.body(headers))) == (200, {"message": "pong"})
