"""Processes of a service come and go under load, and nobody notices (services here are gRPC servers that echo)."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from gateway.render import write
from gateway.settings import Endpoint
from tests.integration.gateway.echo import Echo
from tests.integration.gateway.names import serving
from tests.integration.gateway.proxy import Gateway, eventually, running, settings


@contextmanager
def load(gateway: Gateway) -> Iterator[Counter[object]]:
    """Reads and writes from four clients until the block ends; counts what came back."""
    outcomes: Counter[object] = Counter()
    stop = threading.Event()

    def client() -> None:
        with httpx.Client(base_url=gateway.url, timeout=20) as http:
            while not stop.is_set():
                for method in ("GET", "POST"):
                    try:
                        outcomes[http.request(method, "/v1/grids").status_code] += 1
                    except httpx.HTTPError as error:
                        outcomes[repr(error)] += 1

    clients = [threading.Thread(target=client) for _ in range(4)]
    for thread in clients:
        thread.start()
    try:
        yield outcomes
    finally:
        stop.set()
        for thread in clients:
            thread.join(60)


@pytest.fixture
def two() -> Iterator[tuple[Echo, Echo]]:
    pair = (Echo(), Echo())
    for echo in pair:
        echo.start()
    yield pair
    for echo in pair:
        echo.stop()


def test_address_is_added_and_removed_while_running(two: tuple[Echo, Echo], tmp_path: Path) -> None:
    first, second = two
    config = settings(tmp_path, first.port)
    both = config.model_copy(update={"grid_addresses": tuple(Endpoint("127.0.0.1", e.port) for e in two)})
    alone = config.model_copy(update={"grid_addresses": (Endpoint("127.0.0.1", second.port),)})
    with running(config, tmp_path) as gateway, load(gateway) as outcomes:
        eventually(lambda: outcomes[200] > 50, "there is load")
        write(both, tmp_path / "envoy.json")
        eventually(lambda: len(second.calls) > 20, "the new address gets its share")
        write(alone, tmp_path / "envoy.json")
        eventually(lambda: gateway.admin("/clusters").count(f"grid::127.0.0.1:{first.port}::") == 0, "it is gone")
        seen = outcomes[200]
        eventually(lambda: outcomes[200] > seen + 50, "the load goes on")
    assert set(outcomes) == {200}


def test_process_leaves_and_comes_back(two: tuple[Echo, Echo], tmp_path: Path) -> None:
    config = settings(tmp_path, two[0].port)
    both = config.model_copy(update={"grid_addresses": tuple(Endpoint("127.0.0.1", e.port) for e in two)})
    with running(both, tmp_path) as gateway, load(gateway) as outcomes:
        eventually(lambda: all(len(echo.calls) > 20 for echo in two), "both are used")
        # What arrives in the moment between the end of the server and the news of it is lost once in one or two turns.
        for _ in range(4):
            two[1].drain()
            seen = outcomes[200]
            eventually(lambda seen=seen: outcomes[200] > seen + 100, "the load goes on")
            two[1].calls.clear()
            two[1].start()
            eventually(lambda: len(two[1].calls) > 20, "it gets its share again")
    assert set(outcomes) == {200}


def test_a_name_is_followed_to_all_its_addresses(tmp_path: Path) -> None:
    """As a headless service of Kubernetes or a scaled one of compose: one name, one port, many addresses."""
    first = Echo(host="127.0.0.2")
    first.start()
    second = Echo(host="127.0.0.3", port=first.port)
    second.start()
    name = "grid-svc.kontena.test"
    with serving() as names:
        names.addresses[name] = (first.host,)
        servers = (Endpoint("127.0.0.1", names.port),)
        config = settings(tmp_path, first.port, dns_servers=servers, dns_refresh_seconds=0.2)
        everywhere = {f"{upstream}_addresses": (Endpoint(name, first.port),) for upstream in config.upstreams}
        with running(config.model_copy(update=everywhere), tmp_path) as gateway, load(gateway) as outcomes:
            eventually(lambda: len(first.calls) > 20, "the first address is used")
            assert second.calls == {}
            names.addresses[name] = (first.host, second.host)
            eventually(lambda: len(second.calls) > 20, "the second one gets its share")
            first.drain()
            names.addresses[name] = (second.host,)
            gone = f"grid::{first.host}:{first.port}::"
            eventually(lambda: gone not in gateway.admin("/clusters"), "the first one is forgotten")
            seen = outcomes[200]
            eventually(lambda: outcomes[200] > seen + 50, "the load goes on")
    assert set(outcomes) == {200}
    second.stop()
