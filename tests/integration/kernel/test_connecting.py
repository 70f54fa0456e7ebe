"""Calls to another service outlast what comes with a busy machine and with a replica that takes over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from tests.integration.kernel.replicas import WHO, channel, replica
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.relay import pass_on

# Well above the first waits between connections, well below what one may take.
SLOW_SECONDS = 0.7


@asynccontextmanager
async def slow_to_answer(port: int) -> AsyncIterator[int]:
    """Something on the way to a server that holds back its first words to each connection; yields its port."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(SLOW_SECONDS)
        with suppress(OSError):
            await pass_on(reader, writer, await asyncio.open_connection("127.0.0.1", port))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_a_server_that_is_slow_to_answer_a_connection_is_waited_for() -> None:
    async with replica("slow") as port, slow_to_answer(port) as way, channel(f"127.0.0.1:{way}") as opened:
        who: Any = opened.stub(lambda stub: stub.unary_unary(WHO))
        assert await who(b"") == b"slow"


async def test_a_successor_is_found_before_a_call_gives_up() -> None:
    port, attempts = free_port(), asyncio.Queue[float]()

    async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        attempts.put_nowait(asyncio.get_running_loop().time())

    refusing = await asyncio.start_server(refuse, "127.0.0.1", port)
    async with AsyncExitStack() as before, AsyncExitStack() as after:
        old = await before.enter_async_context(replica("old"))
        opened = await after.enter_async_context(channel(f"127.0.0.1:{old},127.0.0.1:{port}"))
        who: Any = opened.stub(lambda stub: stub.unary_unary(WHO))
        assert await who(b"") == b"old"
        began = asyncio.get_running_loop().time()

        async def waits_long() -> bool:
            # For so long that it is tried as seldom as ever.
            return await attempts.get() - began > 1.5

        await eventually(waits_long, message="the address is tried again and again")
        refusing.close()
        await refusing.wait_closed()
        await after.enter_async_context(replica("successor", port=port))
        await before.aclose()
        assert await who(b"") == b"successor"
