"""Services that are down, restart or hang; clients that come too often."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gateway.settings import REPOSITORY, Endpoint
from tests.integration.gateway.conftest import Caller, raw
from tests.integration.gateway.echo import Echo
from tests.integration.gateway.proxy import Gateway, eventually, running, settings
from tests.integration.gateway.wire import connect
from tests.support.ports import free_port


@pytest.fixture
def own_echo() -> Iterator[Echo]:
    server = Echo()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own(own_echo: Echo, tmp_path: Path) -> Iterator[Gateway]:
    with running(settings(tmp_path, own_echo.port), tmp_path) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def impatient(echo: Echo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("impatient")
    with running(settings(folder, echo.port, request_timeout_seconds=0.3), folder) as gateway:
        yield gateway


def test_down_then_up_again(own: Gateway, own_echo: Echo) -> None:
    own_echo.stop()
    with httpx.Client(base_url=own.url) as client:
        for method in ("POST", "GET"):
            response = client.request(method, "/v1/grids")
            assert response.status_code == 503
            assert response.json() == {"error": "Service unavailable. Try again in a moment."}
            assert response.headers.get_list("retry-after") == ["1"]
        assert client.get("/v1/ping").status_code == 200
        own_echo.start()
        eventually(lambda: client.post("/v1/grids").status_code == 200, "the service is used again")


def test_grpc_callers_are_told_when_to_try_again(own: Gateway, own_echo: Echo) -> None:
    own_echo.stop()
    with grpc.insecure_channel(own.target) as channel, pytest.raises(grpc.RpcError) as raised:
        raw(channel, "unary_unary", "/kontena.grid.v1.GridService/ListGrids")(b"")
    error: Any = raised.value
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    status = rpc_status.from_call(error)
    retry = error_details_pb2.RetryInfo()
    assert status.message == "Service unavailable. Try again in a moment."
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.seconds == 1


def test_read_waits_for_a_restart(own: Gateway, own_echo: Echo) -> None:
    def waited() -> bool:
        own_echo.stop()
        answers: list[int] = []
        requests = [
            threading.Thread(target=lambda: answers.append(httpx.get(f"{own.url}/v1/grids", timeout=60).status_code))
            for _ in range(4)
        ]
        failed = own.counter("cluster.grid.upstream_rq_retry")
        for request in requests:
            request.start()
        eventually(lambda: own.counter("cluster.grid.upstream_rq_retry") >= failed + 4, "the first tries have failed")
        own_echo.start()
        for request in requests:
            request.join(60)
        return 200 in answers

    # How long they wait is chance: some two seconds, in which the service may not have come back.
    eventually(waited, "a read outlasts a restart")


@pytest.mark.parametrize(
    ("method", "url", "repeated"),
    [
        ("GET", "/v1/grids", True),
        ("GET", "/v1/services/g/s/web/container_logs", True),
        ("POST", "/v1/grids", False),
        ("POST", "/v1/services/g/s/web/deploy", False),
        ("POST", "/v1/containers/g/node-a/web-1/exec", True),
    ],
)
def test_what_a_stopping_server_has_not_begun_is_repeated(call: Caller, method: str, url: str, repeated: bool) -> None:
    gateway = call.gateway
    before = sum(gateway.counter(f"cluster.{name}.upstream_rq_retry") for name in ("grid", "deploy"))
    text = json.dumps({"error": "This server is about to stop."})
    trailing = [["x-http-status", "503"], ["x-error-json", text], ["x-server-stopping", "true"]]
    response = call(
        method, url, {} if method == "POST" else None, {"abort": ["UNAVAILABLE", "m"], "trailing": trailing}
    )
    assert (response.status_code, response.text) == (503, text)
    assert "x-server-stopping" not in response.headers
    after = sum(gateway.counter(f"cluster.{name}.upstream_rq_retry") for name in ("grid", "deploy"))
    assert (after > before) == repeated


def test_reads_survive_a_killed_process(echo: Echo, tmp_path: Path) -> None:
    port = free_port()
    # It keeps what it is asked until it is killed.
    command = [sys.executable, "-m", "tests.integration.gateway.echo", str(port), "never"]
    victim = subprocess.Popen(command, cwd=REPOSITORY)
    config = settings(tmp_path, echo.port)
    both = (*config.grid_addresses, Endpoint("127.0.0.1", port))
    statuses: list[int] = []

    def read() -> None:
        statuses.append(httpx.get(f"{gateway.url}/v1/grids").status_code)

    try:
        with running(config.model_copy(update={"grid_addresses": both}), tmp_path) as gateway:
            readers: list[threading.Thread] = []
            host = f"grid::127.0.0.1:{port}::rq_active::"

            def one_more() -> bool:
                readers.append(threading.Thread(target=read))
                readers[-1].start()
                return len(readers) >= 8 and f"{host}0" not in gateway.admin("/clusters")

            eventually(one_more, "the victim has some of them")
            victim.kill()
            for reader in readers:
                reader.join(60)
    finally:
        victim.kill()
        victim.wait(60)
    assert statuses == [200] * len(readers)


def test_hanging_service_is_504(impatient: Gateway) -> None:
    response = httpx.get(f"{impatient.url}/v1/grids", headers={"x-test": json.dumps({"then_wait": True})})
    assert response.status_code == 504
    assert response.json() == {"error": "The service did not answer in time. Try again in a moment."}


def test_streams_have_no_timeout(impatient: Gateway) -> None:
    with connect(impatient.target) as connection:
        plan = {"bodies": ["a\n", "b\n"], "pause": 0.6}
        connection.send("GET", "/v1/services/g/s/web/container_logs", x_test=json.dumps(plan))
        connection.head()
        assert list(connection.chunks()) == [b"a\n", b"b\n"]


def test_token_endpoints_are_limited_per_client(gateway: Gateway) -> None:
    def statuses(source: str, method: str, path: str, times: int) -> list[int]:
        found = []
        with connect(gateway.target, source) as connection:
            for _ in range(times):
                connection.send(method, path, content_length="0")
                status, headers = connection.head()
                body = connection.body(headers)
                found.append(status)
                if status == 429:
                    assert json.loads(body) == {"error": "too_many_requests"}
        return found

    assert statuses("127.0.0.2", "POST", "/oauth2/token", 4) == [200] * 4
    assert statuses("127.0.0.2", "GET", "/oauth2/tokens", 3) == [200, 429, 429]
    assert statuses("127.0.0.2", "GET", "/v1/grids", 20) == [200] * 20
    assert statuses("127.0.0.3", "POST", "/oauth2/token", 5) == [200] * 5
    assert statuses("127.0.0.1", "POST", "/oauth2/token", 20) == [200] * 20


def refused(gateway: Gateway) -> bool:
    """True when a new connection is closed without an answer."""
    with connect(gateway.target) as connection:
        try:
            connection.send("GET", "/v1/ping")
            connection.head()
        except OSError:
            return True
    return False


def test_connection_limit(own_echo: Echo, tmp_path: Path) -> None:
    with running(settings(tmp_path, own_echo.port, connection_limit=2), tmp_path) as gateway:
        with connect(gateway.target) as first, connect(gateway.target) as second:
            for connection in (first, second):
                connection.send("GET", "/v1/ping")
                assert connection.head()[0] == 200
            assert refused(gateway)
        eventually(lambda: httpx.get(f"{gateway.url}/v1/ping").status_code == 200, "a place is free again")


def test_two_addresses_one_dead(call: Caller, own_echo: Echo, tmp_path: Path) -> None:
    config = settings(tmp_path, own_echo.port)
    both = (*config.grid_addresses, config.grid_addresses[0]._replace(port=call.echo.port))
    with running(config.model_copy(update={"grid_addresses": both}), tmp_path) as gateway:
        own_echo.stop()
        with httpx.Client(base_url=gateway.url) as client:
            assert {client.get("/v1/grids").status_code for _ in range(30)} == {200}
        own_echo.start()


def test_callers_of_grpc_do_not_meet_the_dead_one_of_two_addresses(
    call: Caller, own_echo: Echo, tmp_path: Path
) -> None:
    """As agents do whose replica stopped, before a health check has noticed."""
    config = settings(tmp_path, own_echo.port, health_check_seconds=60)
    both = (*config.grid_addresses, config.grid_addresses[0]._replace(port=call.echo.port))
    with (
        running(config.model_copy(update={"grid_addresses": both}), tmp_path) as gateway,
        grpc.insecure_channel(gateway.target) as channel,
    ):
        own_echo.stop()
        ask = raw(channel, "unary_unary", "/kontena.grid.v1.GridService/ListGrids")
        for _ in range(30):
            ask(b"", timeout=60)
        own_echo.start()
