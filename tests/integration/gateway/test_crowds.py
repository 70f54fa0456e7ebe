"""Who opens many connections, or holds them and says nothing, keeps nobody out, and agents not at all."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import httpx
import pytest

from gateway import connections
from gateway.connections import prefixes
from gateway.settings import Endpoint
from tests.integration.gateway.conftest import raw
from tests.integration.gateway.echo import Echo
from tests.integration.gateway.proxy import Gateway, eventually, running, settings
from tests.integration.gateway.wire import Connection, connect
from tests.support.certificates import self_signed
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


def served(gateway: Gateway, source: str = "127.0.0.1") -> bool:
    transport = httpx.HTTPTransport(local_address=source, verify=False)
    try:
        with httpx.Client(transport=transport, timeout=60) as client:
            return client.get(f"{gateway.url}/v1/ping").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_one_address_opens_no_more_than_its_share(
    echo: Echo, tmp_path: Path, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is.
    monkeypatch.setattr(connections, "ANSWER_SECONDS", 600.0)
    few = 10
    cert, key = self_signed(tmp_path) if tls else (None, None)
    config = settings(
        tmp_path,
        echo.port,
        connection_limit=LIMIT,
        connections_per_address_burst=few,
        # The least there is.
        connections_per_address_rate=1,
        connection_idle_seconds=600,
        first_bytes_seconds=600,
        tls_cert_file=cert,
        tls_key_file=key,
    )
    with running(config, tmp_path, concurrency=2) as gateway, crowd(gateway, "127.0.0.2") as strangers:
        # Most: those that nobody has looked at yet are connections too, and there is a limit of all.
        refused = LIMIT // 2
        eventually(lambda: sum(map(ended, strangers)) > refused, "they are refused, though none of them said a word")
        assert served(gateway, "127.0.0.3"), "another address has a share of its own"
        assert all(served(gateway) for _ in range(2 * few)), "an exempt address has no limit"
        assert gateway.counter("ratelimit.connections.cx_closed") > 0
        assert sum(not ended(connection) for connection in strangers) >= few, "who was let in stays"


def test_of_ipv6_a_whole_network_has_one_share() -> None:
    assert prefixes(["127.0.0.1", "::1", "2001:db8:1:2:3:4:5:6"]) == ("127.0.0.1/32", "::/64", "2001:db8:1:2::/64")


@pytest.mark.parametrize("changes", [{"connections_per_address_rate": 0}, {"trusted_proxies": 1}], ids=str)
def test_addresses_that_are_translated_are_not_counted(echo: Echo, tmp_path: Path, changes: dict[str, int]) -> None:
    config = settings(tmp_path, echo.port, connections_per_address_burst=1, **changes)
    with running(config, tmp_path) as gateway:
        assert all(served(gateway, "127.0.0.2") for _ in range(20))


def test_silent_connections_end_soon_and_others_get_in(echo: Echo, tmp_path: Path) -> None:
    config = settings(
        tmp_path,
        echo.port,
        connection_limit=LIMIT,
        first_bytes_seconds=2,
        connection_idle_seconds=600,
        connections_per_address_rate=0,
    )
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
