"""Authorities that are none, or that say what no authority should."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from services.vault_svc.app import build
from tests.integration.vault_svc.conftest import MakeSettings
from tests.integration.vault_svc.json_caller import Answer, JsonCaller
from tests.support.running import running

NO_DIRECTORY = [
    b"",
    b"[]",
    b'"x"',
    b"5",
    b"null",
    b"{}",
    b'{"newAccount":[],"newNonce":1}',
    b"<html>",
    b"\xff\xfe",
    b"[" * 99999,
]


@asynccontextmanager
async def _says(status: int, body: bytes, **headers: str) -> AsyncIterator[str]:
    """A server that answers everything with this; its address."""
    head = {"connection": "close", "content-type": "application/json", "content-length": str(len(body)), **headers}
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name.replace('_', '-')}: {value}" for name, value in head.items())]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _register(make: MakeSettings, address: str) -> Answer:
    async with running(partial(build, make(acme_endpoint=f"http://{address}/dir"))) as served:
        api = JsonCaller(served.channel, "member")
        return await api.call("CertificateService.RegisterAcmeAccount", grid="alpha", email="john.doe@domain.com")


@pytest.mark.parametrize("body", NO_DIRECTORY, ids=lambda body: repr(body[:20]))
async def test_what_is_no_directory_is_503(vault_settings: MakeSettings, body: bytes) -> None:
    async with _says(200, body) as address:
        refused = await _register(vault_settings, address)
    assert (refused.status, refused.body) == (503, {"error": f"ACME server not reachable: {address}"})


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        ({"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many"}, "too many"),
        ({"detail": 5}, "The authority gave no reason."),
        ({"detail": {"a": ["b"]}}, "The authority gave no reason."),
        ({"detail": "x" * 100_000}, "x" * 500),
        ({"type": "about:blank"}, "The authority gave no reason."),
        ({}, "The authority gave no reason."),
    ],
)
async def test_every_problem_is_told(vault_settings: MakeSettings, problem: Any, text: str) -> None:
    async with _says(429, json.dumps(problem).encode(), retry_after="120") as address:
        refused = await _register(vault_settings, address)
    assert (refused.status, refused.body, refused.headers["retry-after"]) == (422, {"error": {"acme": text}}, "120")


async def test_a_wait_that_is_none_is_left_out(vault_settings: MakeSettings) -> None:
    async with _says(429, b"{}", retry_after="in a \u00e9\u0001 moment") as address:
        refused = await _register(vault_settings, address)
    assert refused.status == 422
    assert "retry-after" not in refused.headers
