"""A service is reached at every address of a list, however they are written, and where they move to."""

import socket
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from services.kernel import addresses
from services.kernel.client import ServiceChannel
from tests.integration.kernel.replicas import FOLLOW, WHO, channel, replica
from tests.support.eventually import eventually


async def all_answer(opened: ServiceChannel, *names: str) -> None:
    """Calls are shared among exactly these replicas."""
    who: Any = opened.stub(lambda stub: stub.unary_unary(WHO))

    async def shared() -> bool:
        try:
            return {(await who(b"")).decode() for _ in range(6)} == set(names)
        except grpc.aio.AioRpcError:
            return False

    await eventually(shared, message=f"{names} answer")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Addresses by name, for names that no server of names knows."""
    known: dict[str, list[str]] = {}
    ask: Callable[..., Any] = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *rest: Any, **options: Any) -> Any:
        if host.endswith(".test"):
            if host not in known:
                raise socket.gaierror(socket.EAI_NONAME, "not known")
            return [answer for one in known[host] for answer in ask(one, port, *rest, **options)]
        return ask(host, port, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(addresses, "_LOOK_AGAIN_SECONDS", 0.05)
    return known


async def test_names_in_a_list() -> None:
    async with (
        replica("one") as first,
        replica("two") as second,
        channel(f"localhost:{first},localhost:{second}") as opened,
    ):
        await all_answer(opened, "one", "two")


async def test_ipv6_alone_and_beside_others() -> None:
    async with replica("six", "[::1]") as six, replica("four") as four:
        for listed, answering in (
            (f"[::1]:{six}", ("six",)),
            (f"[::1]:{six},127.0.0.1:{four}", ("six", "four")),
            (f"[::1]:{six},localhost:{four}", ("six", "four")),
        ):
            async with channel(listed) as opened:
                await all_answer(opened, *answering)


async def test_every_address_behind_a_name_is_used(names: dict[str, list[str]]) -> None:
    async with replica("one") as port, replica("two", "127.0.0.2", port):
        names["deploy.test"] = ["127.0.0.1", "127.0.0.2"]
        # A name that is not known at the moment is no reason to do without the others.
        async with channel(f"missing.test:{port},deploy.test:{port}") as opened:
            await all_answer(opened, "one", "two")


async def test_a_replica_that_comes_back_elsewhere_is_found_and_streams_go_on(names: dict[str, list[str]]) -> None:
    async with replica("stays") as port, replica("moves", "127.0.0.2", port), replica("moved", "127.0.0.3", port):
        names |= {"a.test": ["127.0.0.1"], "b.test": ["127.0.0.2"]}
        async with channel(f"a.test:{port},b.test:{port}") as opened:
            await all_answer(opened, "stays", "moves")
            follow: Any = opened.stub(lambda stub: stub.unary_stream(FOLLOW))
            stream = follow(b"")
            first = await stream.read()
            names["b.test"] = ["127.0.0.3"]
            await all_answer(opened, "stays", "moved")
            assert [await stream.read() for _ in range(20)] == [first] * 20


async def test_one_of_them_may_be_away() -> None:
    async with replica("one") as first:
        async with replica("two") as second, channel(f"localhost:{first},localhost:{second}") as opened:
            await all_answer(opened, "one", "two")
        async with channel(f"localhost:{first},localhost:{second}") as opened:
            await all_answer(opened, "one")
