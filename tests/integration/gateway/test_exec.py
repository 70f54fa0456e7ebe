"""The way of an exec upgrade through the gateway: to the bridge, past all filters, and for one path only."""

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from gateway.exec_bridge.server import serving
from gateway.exec_bridge.settings import ExecBridgeSettings
from gateway.settings import Endpoint
from tests.integration.gateway.echo import Echo
from tests.integration.gateway.proxy import Gateway, eventually, running, settings
from tests.support.certificates import self_signed
from tests.support.ports import free_port

PATH = "/v1/containers/g/n/c/exec"
# Not all an upgrade needs.
HALF = {"upgrade": "websocket", "connection": "upgrade"}
REFUSED = {"abort": ["NOT_FOUND", "m"], "trailing": [["x-http-status", "404"], ["x-error-json", '{"error":"m"}']]}


@contextmanager
def bridge(port: int, upstream: int) -> Iterator[None]:
    """A bridge in a thread of its own."""
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def run() -> None:
        config = ExecBridgeSettings(listen_address=f"127.0.0.1:{port}", deploy_address=f"127.0.0.1:{upstream}")
        async with serving(config):
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    assert ready.wait(30)
    yield
    loop.call_soon_threadsafe(stop.set)
    thread.join(60)
    loop.close()


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def exec_gateway(echo: Echo, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = Path(tmp_path_factory.mktemp("exec"))
    with running(settings(folder, echo.port, exec_addresses=(Endpoint("127.0.0.1", port),)), folder) as gateway:
        yield gateway


@pytest.fixture
def bridged(exec_gateway: Gateway, echo: Echo, port: int) -> Iterator[Gateway]:
    with bridge(port, echo.port):
        url = f"{exec_gateway.url}{PATH}"
        eventually(lambda: httpx.get(url, headers=HALF).status_code == 400, "the bridge answers through the gateway")
        yield exec_gateway


def opened(gateway: Gateway, path: str = PATH, **headers: str) -> ClientConnection:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return connect(f"ws://{gateway.target}{path}", additional_headers=sent)


def last_kind(echo: Echo, request_id: str) -> str | None:
    """What the service got last; None before the first."""
    message = echo.received(request_id)
    return None if message is None else str(message.WhichOneof("message"))


def test_the_upgrade_reaches_the_stream_with_what_services_need(bridged: Gateway, echo: Echo) -> None:
    with opened(
        bridged, f"{PATH}?tty=true", authorization="Bearer t", x_request_id="exec-1", x_forwarded_for="6.6.6.6"
    ) as client:
        assert client.response is not None
        assert client.response.headers["x-request-id"] == "exec-1"
        client.send('{"cmd":["ls"]}')
        # Words by themselves are no answer of an echo server; that the message arrives is what counts here.
        eventually(lambda: last_kind(echo, "exec-1") == "cmd", "the command arrives after the start")
    call = echo.calls["exec-1"]
    assert call.path == "/kontena.deploy.v1.ContainerExecService/AttachExec"
    assert call.metadata["authorization"] == "Bearer t"
    assert call.metadata["x-forwarded-for"] == "127.0.0.1"
    assert call.ended.wait(60), "the stream ends with the connection"


def test_only_this_path_may_upgrade(bridged: Gateway) -> None:
    for path in ("/v1/containers/g/n/c/logs", "/v1/containers/exec", "/v1/grids"):
        with pytest.raises(InvalidStatus) as refused, opened(bridged, path):
            pass
        assert refused.value.response.status_code == 403
        assert json.loads(refused.value.response.body) == {"error": "Protocol upgrade is not supported"}


def test_a_path_without_a_node_reaches_who_may_refuse_it(bridged: Gateway, echo: Echo) -> None:
    with opened(bridged, "/v1/containers/g/c/exec", x_request_id="exec-short"):
        pass
    assert echo.calls.pop("exec-short").path == "/kontena.deploy.v1.ContainerExecService/AttachExec"


def test_the_connection_ends_with_the_session(bridged: Gateway) -> None:
    """For clients that wait for it: sooner than the second for which Envoy lingers unless it is told otherwise."""

    def ends_at_once() -> bool:
        with opened(bridged) as client:
            client.send('{"stdin":"too early"}')
            assert "error" in json.loads(client.recv(timeout=60))
            started = time.monotonic()
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=60)
            return time.monotonic() - started < 0.8

    # Other work may hold up one of them, but what lingers does so each time.
    eventually(ends_at_once, "a session whose connection ends with it")


def test_without_an_upgrade_it_is_said_what_is_missing(bridged: Gateway, echo: Echo) -> None:
    answer = httpx.get(f"{bridged.url}{PATH}")
    assert (answer.status_code, answer.headers["content-type"]) == (426, "application/json")
    assert "WebSocket" in answer.json()["error"]
    half = httpx.get(f"{bridged.url}{PATH}", headers=HALF)
    assert (half.status_code, half.json()) == (400, {"error": "Not a valid WebSocket handshake"})
    for body in (b"{}", iter([b"{}"])):
        assert httpx.request("GET", f"{bridged.url}{PATH}", content=body).status_code == 426
    # The same path with POST is the command without input.
    assert httpx.post(f"{bridged.url}{PATH}", json={"cmd": ["ls"]}).status_code == 200
    assert "/kontena.deploy.v1.ContainerService/ExecContainer" in echo.calls


def test_without_a_bridge_it_is_503_and_the_rest_works(exec_gateway: Gateway) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(exec_gateway):
        pass
    assert refused.value.response.status_code == 503
    assert refused.value.response.headers["retry-after"] == "1"
    assert json.loads(refused.value.response.body)["error"].startswith("Service unavailable")
    assert httpx.get(f"{exec_gateway.url}/readyz").status_code == 200


def test_over_tls(echo: Echo, tmp_path: Path) -> None:
    """As `wss://`, trusted like the certificate that the CLI keeps for a host."""
    cert, key = self_signed(tmp_path)
    port = free_port()
    config = settings(
        tmp_path, echo.port, tls_cert_file=cert, tls_key_file=key, exec_addresses=(Endpoint("127.0.0.1", port),)
    )
    context = ssl.create_default_context(cafile=str(cert))
    with running(config, tmp_path) as gateway, bridge(port, echo.port):
        target = f"localhost:{gateway.settings.port}{PATH}"
        eventually(lambda: httpx.get(f"https://{target}", verify=context).status_code == 426, "the bridge answers")
        with connect(f"wss://{target}", ssl=context, additional_headers={"x-request-id": "exec-tls"}) as client:
            client.send('{"cmd":["ls"]}')
            eventually(lambda: last_kind(echo, "exec-tls") == "cmd", "the command arrives after the start")
