"""One port for HTTP/1.1, HTTP/2, gRPC and agents; TLS when a certificate is given."""

import json
import queue
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from kontena.deploy.v1 import assignment_pb2
from kontena.grid.v1 import grid_pb2, grid_pb2_grpc, node_session_pb2, node_session_pb2_grpc
from tests.integration.gateway.conftest import raw
from tests.integration.gateway.echo import Echo
from tests.integration.gateway.proxy import Gateway, running, settings
from tests.integration.gateway.wire import connect, http2_json
from tests.support.certificates import self_signed


def test_keep_alive(gateway: Gateway) -> None:
    with connect(gateway.target) as connection:
        for path, expected in (("/v1/ping", 200), ("/nope", 404), ("/v1/grids", 200), ("/v1/ping", 200)):
            connection.send("GET", path)
            status, headers = connection.head()
            connection.body(headers)
            assert status == expected


@pytest.mark.parametrize(
    ("path", "expected"), [("/v1/grids", (200, {"grids": []})), ("/nope", (404, {"error": "Not found"}))]
)
def test_rest_over_http2(gateway: Gateway, path: str, expected: object) -> None:
    with connect(gateway.target) as connection:
        assert http2_json(connection.sock, path) == expected


def test_typed_grpc_call(channel: grpc.Channel) -> None:
    stub = grid_pb2_grpc.GridServiceStub(channel)
    reply = stub.GetGrid(grid_pb2.GetGridRequest(grid="g"), metadata=(("x-test", '{"reply": {"name": "g"}}'),))
    assert reply.name == "g"


@pytest.mark.parametrize("kind", ["session", "assignments", "logs"])
def test_agent_streams_pass_both_ways(channel: grpc.Channel, kind: str) -> None:
    path, message = {
        "session": ("/kontena.grid.v1.NodeSessionService/Connect", node_session_pb2.ConnectRequest()),
        "assignments": ("/kontena.deploy.v1.AssignmentService/Attach", assignment_pb2.AttachRequest()),
        "logs": ("/kontena.deploy.v1.LogIngestService/PushLogs", assignment_pb2.PushLogsRequest(sequence=1)),
    }[kind]
    outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    replies = raw(channel, "stream_stream", path)(iter(outgoing.get, None))
    for _ in range(20):
        outgoing.put(message.SerializeToString())
        assert next(replies) == b""  # Each answer comes before the next message is sent.
    outgoing.put(None)
    assert list(replies) == []


def test_many_agents_on_one_connection(channel: grpc.Channel) -> None:
    stub = node_session_pb2_grpc.NodeSessionServiceStub(channel)
    beats = [node_session_pb2.ConnectRequest(heartbeat=node_session_pb2.Heartbeat())] * 3
    calls = [stub.Connect(iter(beats)) for _ in range(50)]
    assert [len(list(call)) for call in calls] == [3] * 50


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secure(echo: Echo, certificate: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("secure")
    cert, key = certificate
    with running(settings(folder, echo.port, tls_cert_file=cert, tls_key_file=key), folder) as gateway:
        yield gateway


def test_tls(secure: Gateway, certificate: tuple[Path, Path]) -> None:
    context = ssl.create_default_context(cafile=str(certificate[0]))
    with httpx.Client(verify=context) as client:
        assert client.get(f"https://localhost:{secure.settings.port}/v1/grids").json() == {"grids": []}
    credentials = grpc.ssl_channel_credentials(certificate[0].read_bytes())
    with grpc.secure_channel(f"localhost:{secure.settings.port}", credentials) as channel:
        stub = grid_pb2_grpc.GridServiceStub(channel)
        assert stub.GetGrid(grid_pb2.GetGridRequest(), metadata=(("x-test", '{"reply": {"name": "s"}}'),)).name == "s"


@pytest.mark.parametrize(("offered", "chosen"), [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1")])
def test_tls_protocol_negotiation(
    secure: Gateway, certificate: tuple[Path, Path], offered: list[str], chosen: str
) -> None:
    context = ssl.create_default_context(cafile=str(certificate[0]))
    context.set_alpn_protocols(offered)
    with (
        socket.create_connection(("127.0.0.1", secure.settings.port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        assert sock.selected_alpn_protocol() == chosen
        if chosen == "h2":
            assert http2_json(sock, "/v1/grids") == (200, {"grids": []})


def test_websocket_upgrade_is_refused_with_json(gateway: Gateway) -> None:
    with connect(gateway.target) as connection:
        connection.send("GET", "/v1/grids", upgrade="websocket", connection="upgrade", sec_websocket_version="13")
        status, headers = connection.head()
        assert status == 403
        assert "error" in json.loads(connection.body(headers))
