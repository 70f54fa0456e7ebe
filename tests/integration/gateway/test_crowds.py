"""Who holds connections and says nothing keeps nobody out for long, and agents not at all."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import httpx

from gateway.settings import Endpoint
from tests.integration.gateway.conftest import raw
from tests.integration.gateway.echo import Echo
from tests.integration.gateway.proxy import Gateway, eventually, running, settings
from tests.integration.gateway.wire import Connection, connect
from tests.support.ports import free_port

LIMIT = 100


@contextmanager
def crowd(gateway: Gateway, source: str) -> Iterator[list[Connection]]:
    """A tenth more connections from one address than there may be."""
    with ExitStack() as held:
        yield [held.enter_context(connect(gateway.target, source)) for _ in range(LIMIT + LIMIT // 10)]


def ended(connection: Connection) -> bool:
    connection.sock.settimeout(0.001)
    try:
        return connection.sock.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def served(gateway: Gateway) -> bool:
    try:
        return httpx.get(f"{gateway.url}/v1/ping").status_code == 200
    except httpx.TransportError:
        return False


def test_silent_connections_end_soon_and_others_get_in(echo: Echo, tmp_path: Path) -> None:
    config = settings(tmp_path, echo.port, connection_limit=LIMIT, first_bytes_seconds=2, connection_idle_seconds=600)
    with running(config, tmp_path) as gateway:
        with crowd(gateway, "127.0.0.2") as strangers:
            eventually(lambda: all(map(ended, strangers)), "all of them end")
            eventually(lambda: served(gateway), "others get in")
        with connect(gateway.target) as client:
            client.sock.sendall(b"GET /v1/pi")
            client.sock.sendall(b"ng HTTP/1.1\r\nhost: x\r\n\r\n")
            assert client.head()[0] == 200


def test_agents_have_room_of_their_own(echo: Echo, tmp_path: Path) -> None:
    port = free_port()
    config = settings(
        tmp_path,
        echo.port,
        connection_limit=LIMIT,
        agent_address=Endpoint("127.0.0.1", port),
        agent_connection_limit=2,
        first_bytes_seconds=600,
    )
    with running(config, tmp_path) as gateway, crowd(gateway, "127.0.0.2"):
        eventually(lambda: not served(gateway), "strangers have all the room there is")
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            for _ in range(3):
                raw(channel, "unary_unary", "/kontena.grid.v1.GridService/ListGrids")(b"", timeout=60)
            with connect(f"127.0.0.1:{port}") as second, connect(f"127.0.0.1:{port}") as third:
                second.send("GET", "/v1/ping")
                assert second.head()[0] == 200
                third.send("GET", "/v1/ping")
                eventually(lambda: ended(third), "the room of agents has a bound too")
