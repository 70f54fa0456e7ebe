"""A grid's admin cannot make the master talk to itself."""

import socket

import pytest
from pydantic import SecretStr

from services.grid_svc.app import targets
from services.grid_svc.clients.targets import Targets
from services.grid_svc.settings import Settings

OWN = Targets([], ["localhost"])


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "169.254.169.254", "fe80::1%1", "::", "224.0.0.1"],
)
async def test_loopback_and_link_local_are_closed(address: str) -> None:
    assert await OWN.refusal("metrics", address) == "loopback and link-local addresses are closed"


async def test_addresses_of_this_machine_and_of_the_suite_are_closed() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        own = probe.getsockname()[0]
    assert await OWN.refusal("metrics", own) == "addresses of the master are closed"
    suite = Targets([], ["192.0.2.7"])
    assert await suite.refusal("metrics", "192.0.2.7") == "addresses of the master are closed"


async def test_every_server_of_the_database_is_closed() -> None:
    url = "postgresql://u:p@192.0.2.8:5432,192.0.2.9/d"
    found = targets(Settings(database_url=url, cluster_secret=SecretStr("x" * 16)), "")
    for address in ("192.0.2.8", "192.0.2.9"):
        assert await found.refusal("metrics", address) == "addresses of the master are closed"


async def test_others_are_open() -> None:
    assert await OWN.refusal("metrics", "192.0.2.7") is None
    assert await OWN.refusal("metrics", "2001:db8::7") is None


@pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.0/8", "metrics"])
async def test_an_operator_may_open_any(allowed: str) -> None:
    assert await Targets([allowed], []).refusal("metrics", "127.0.0.1") is None
