"""An authentication provider that answers what a test wants and remembers what it was asked."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@dataclass
class Asked:
    method: str
    target: str
    headers: dict[str, str]
    body: str


@dataclass
class StandIn:
    """Answers by path: status, content type, body."""

    url: str = ""
    token: tuple[int, str, str] = (200, JSON, "")
    userinfo: tuple[int, str, str] = (200, JSON, "")
    asked: list[Asked] = field(default_factory=list)

    def says(self, userinfo: Any, token: Any = None) -> None:
        self.token = (200, JSON, json.dumps(token or {"access_token": "provider-token", "token_type": "bearer"}))
        self.userinfo = (200, JSON, json.dumps(userinfo))
        self.asked.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        method, target, _ = head[0].split()
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-1])}
        body = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
        self.asked.append(Asked(method, target, headers, body))
        status, content_type, text = self.token if target.startswith("/token") else self.userinfo
        data = text.encode()
        reply = (
            f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {len(data)}\r\nconnection: close"
        )
        writer.write(f"{reply}\r\n\r\n".encode() + data)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def provider_stand_in() -> AsyncIterator[StandIn]:
    found = StandIn()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield found


@contextmanager
def provider_beside() -> Iterator[StandIn]:
    """The same for tests without an event loop: it runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = provider_stand_in()
    try:
        yield asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(60)
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()
