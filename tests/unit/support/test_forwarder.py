import socket
from collections.abc import Iterator

import pytest

from tests.support import underlay
from tests.support.ports import free_port
from tests.support.underlay import Forwarder


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """Where the forwarder listens on loopback."""
    found = free_port()
    monkeypatch.setattr(underlay, "MASTER_PORT", found)
    return found


@pytest.fixture
def gateway() -> int:
    return free_port()


@pytest.fixture
def forwarder(port: int, gateway: int) -> Iterator[Forwarder]:
    made = Forwarder("127.0.0.1", gateway)
    made.start()
    yield made
    made.cut()


def test_a_gateway_that_is_away_for_a_moment_is_reached_again(forwarder: Forwarder, port: int, gateway: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as refused:
        assert refused.recv(1) == b""
    with (
        socket.create_server(("127.0.0.1", gateway)) as master,
        socket.create_connection(("127.0.0.1", port), timeout=60) as client,
    ):
        accepted, _ = master.accept()
        with accepted:
            client.sendall(b"hello")
            assert accepted.recv(5) == b"hello"
            forwarder.cut()
            assert client.recv(1) == b""
            with pytest.raises(ConnectionError):
                socket.create_connection(("127.0.0.1", port), timeout=60)
            forwarder.start()
            socket.create_connection(("127.0.0.1", port), timeout=60).close()
