"""The client library towards a server that is away, refuses, or breaks off: what is sent again, and what is told."""

import json
import threading
from collections.abc import Iterator

import pytest

from kontena_client import ApiError, AsyncClient, Client, KontenaError, Unreachable
from kontena_client.retries import pause
from tests.support.canned import Server
from tests.support.ports import free_port


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


AWAY = (503, {"Retry-After": "0"}, '{"error": "not now"}')
FINE: tuple[int, dict[str, str], str] = (200, {}, '{"services": []}')


def test_what_reads_is_sent_again(server: Server) -> None:
    server.answers = [AWAY, AWAY, FINE]
    with Client(server.url, "t") as client:
        assert client.list_services("g", stack="shop") == {"services": []}
    assert [path for _, path, _ in server.asked] == ["/v1/grids/g/services?stack=shop"] * 3
    assert server.asked[0][2]["authorization"] == "Bearer t"


def test_what_changes_something_is_sent_once(server: Server) -> None:
    server.answers = [AWAY, FINE]
    with Client(server.url, "t") as client, pytest.raises(ApiError) as told:
        client.stop_service("g", "null", "web")
    assert told.value.status == 503
    assert told.value.asked == "POST /v1/services/g/null/web/stop"
    assert len(server.asked) == 1


def test_what_the_api_makes_repeatable_is_sent_again_with_the_same_key(server: Server) -> None:
    server.answers = [AWAY, (200, {}, '{"id": "d1"}')]
    with Client(server.url, "t") as client:
        assert client.deploy_service("g", "null", "web", {})["id"] == "d1"
    first, second = (headers["idempotency-key"] for _, _, headers in server.asked)
    assert first == second


def test_each_wrong_attribute_is_told(server: Server) -> None:
    body = json.dumps({"error": {"name": "is taken", "ports": {"0": "no port"}}})
    server.answers = [(422, {"X-Request-Id": "r1"}, body)]
    with Client(server.url, "t") as client, pytest.raises(ApiError) as told:
        client.create_service("g", {"name": "web"})
    assert told.value.fields == {"name": "is taken", "ports": "0: no port"}
    assert told.value.message == "name: is taken; ports: 0: no port"
    assert told.value.request_id == "r1"


def test_names_cannot_leave_their_place_in_the_path(server: Server) -> None:
    server.answers = [(200, {}, "{}")]
    with Client(server.url, "t") as client:
        client.get_secret("g", "a/../b?c#d")
    assert server.asked[0][1] == "/v1/secrets/g/a%2F..%2Fb%3Fc%23d"


def test_a_stream_goes_on_behind_what_came_last(server: Server) -> None:
    server.answers = [
        (200, {}, '{"id": "1"}\n\n{"id": "2"}\n'),
        (503, {}, "{}"),
        (200, {}, '{"id": "3"}\n'),
        (404, {}, '{"error": "Not found"}'),
    ]
    with Client(server.url, "t") as client:
        entries = client.follow("/v1/grids/g/event_logs", limit=5)
        assert [next(entries)["id"] for _ in range(3)] == ["1", "2", "3"]
        with pytest.raises(ApiError, match="404 Not found"):
            next(entries)
    assert [path for _, path, _ in server.asked] == [
        "/v1/grids/g/event_logs?limit=5&follow=1",
        "/v1/grids/g/event_logs?limit=5&follow=1&from=2",
        "/v1/grids/g/event_logs?limit=5&follow=1&from=2",
        "/v1/grids/g/event_logs?limit=5&follow=1&from=3",
    ]


DEPLOY = "/v1/stacks/g/shop/deploys/d1/follow"
OF_SERVICE = '{"deploy_id": "d2", "step": "finished", "state": "success"}'
# It breaks off, and is told all again.
PROGRESS: list[tuple[int, dict[str, str], str]] = [
    (200, {}, f"{OF_SERVICE}\n\n"),
    (503, {}, "{}"),
    (200, {}, f'{OF_SERVICE}\n{{"deploy_id": "d1", "step": "finished", "state": "error"}}\n'),
]


def test_a_deploy_is_followed_to_its_own_end(server: Server) -> None:
    server.answers = list(PROGRESS)
    with Client(server.url, "t") as client:
        told = list(client.progress(DEPLOY))
    assert [line and line["deploy_id"] for line in told] == ["d2", None, None, None, "d2", "d1"]
    assert [path for _, path, _ in server.asked] == [DEPLOY] * 3
    server.answers = [(404, {}, '{"error": "Not found"}')]
    with Client(server.url, "t") as client, pytest.raises(ApiError, match="404"):
        next(client.progress(DEPLOY))


async def test_the_same_for_asyncio(server: Server) -> None:
    server.answers = [AWAY, FINE, (200, {}, '{"id": "1"}\n'), (404, {}, '{"error": "Not found"}')]
    async with AsyncClient(server.url, "t") as client:
        assert await client.list_services("g") == {"services": []}
        entries = client.follow("/v1/grids/g/event_logs")
        assert (await anext(entries))["id"] == "1"
        with pytest.raises(ApiError, match="404"):
            await anext(entries)
        server.answers = list(PROGRESS)
        told = [line async for line in client.progress(DEPLOY)]
    assert [line and line["deploy_id"] for line in told] == ["d2", None, None, None, "d2", "d1"]


def test_nobody_there() -> None:
    port = free_port()
    with Client(f"http://127.0.0.1:{port}", "t", attempts=2) as client, pytest.raises(Unreachable) as told:
        client.list_grids()
    assert str(port) in str(told.value)
    assert "GET /v1/grids" in str(told.value)


def test_an_address_without_a_scheme_is_refused() -> None:
    with pytest.raises(KontenaError, match="http:// or https://"):
        Client("master:9292")


def test_when_to_give_up() -> None:
    assert pause(3, again=True, status=503, retry_after=None) is not None
    assert pause(0, again=True, status=503, retry_after=None) is None
    assert pause(3, again=False, status=None, retry_after=None) is None
    assert pause(3, again=True, status=404, retry_after=None) is None
    assert pause(3, again=True, status=503, retry_after=60) is None, "longer than anybody waits"
