"""While Postgres cannot do its part, every service says so in REST and in gRPC, and when to try again: never a 500."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from kontena.grid.v1 import grid_pb2
from kontena.grid.v1.grid_pb2_grpc import GridServiceStub
from tests.chaos.outage import away
from tests.support.database_states import read_only, restarted_as
from tests.support.suite import Api, Suite, soon

READS = (
    "/v1/user", "/v1/audit_logs", "/v1/grids", "/v1/grids/local/nodes", "/v1/grids/local/services",
    "/v1/grids/local/stacks", "/v1/containers/local", "/v1/grids/local/secrets", "/v1/grids/local/certificates",
)  # fmt: skip
WRITES: tuple[tuple[str, str, Any], ...] = (
    ("PUT", "/v1/grids/local", {"default_affinity": []}),
    ("POST", "/v1/grids/local/services", {"name": "nope", "image": "busybox", "stateful": False}),
    ("POST", "/v1/grids/local/secrets", {"name": "NOPE", "value": "unused-value-of-a-test"}),
    ("POST", "/v1/volumes/local", {"name": "nope", "scope": "instance", "driver": "local"}),
    ("PUT", "/v1/config", {"some.key": "value"}),
)


def _statuses(api: Api, *, writes: bool) -> dict[str, int]:
    """By request; each answer is either right or says when to try again."""
    requests = [("GET", path, None) for path in READS] if not writes else list(WRITES)
    found = {}
    for method, path, body in requests:
        answer = api.request(method, path, body)
        if answer.status_code == 503:
            assert answer.headers["retry-after"] == "1", f"{path}: {answer.headers}"
            assert "again in a moment" in answer.json()["error"], answer.text
        found[f"{method} {path}"] = answer.status_code
    assert set(found.values()) <= {200, 201, 503}, found
    return found


def _refused(api: Api, *, writes: bool) -> bool:
    return set(_statuses(api, writes=writes).values()) == {503}


def _in_grpc(suite: Suite, api: Api) -> bool:
    """The same is told to a gRPC caller of the gateway."""
    request, metadata = grid_pb2.CreateGridRequest(name="nope"), (("authorization", f"Bearer {api.token}"),)
    target = f"127.0.0.1:{suite.env['KONTENA_PORT']}"
    with grpc.insecure_channel(target) as channel, pytest.raises(grpc.RpcError) as raised:
        GridServiceStub(channel).CreateGrid(request, metadata=metadata)
    error: Any = raised.value
    retry = error_details_pb2.RetryInfo()
    status = rpc_status.from_call(error)
    return (
        error.code() is grpc.StatusCode.UNAVAILABLE
        and any(detail.Unpack(retry) for detail in status.details)
        and retry.retry_delay.seconds == 1
    )


@pytest.fixture(autouse=True)
def _well_again(api: Api) -> Iterator[None]:
    yield
    soon(lambda: set(_statuses(api, writes=False).values()) == {200}, message="everything is read again")
    soon(lambda: api.request("PUT", "/v1/grids/local", {"default_affinity": []}).status_code == 200)


def test_it_is_starting(suite: Suite, api: Api) -> None:
    nobody_else = away(suite, ["postgres"], 0)
    data = suite.var / "postgres"
    with restarted_as(data, "hot_standby=off", standby=True, wait=False, alone=nobody_else):
        soon(lambda: _refused(api, writes=False), message="reads are refused in words")
        assert _refused(api, writes=True)
        assert _in_grpc(suite, api)


def test_it_takes_no_writes(suite: Suite, api: Api) -> None:
    async def check() -> None:
        async with read_only(suite.database_url):
            await asyncio.to_thread(soon, lambda: _refused(api, writes=True), message="writes are refused in words")
            assert set((await asyncio.to_thread(_statuses, api, writes=False)).values()) == {200}
            assert await asyncio.to_thread(_in_grpc, suite, api)

    asyncio.run(check())


def test_the_tables_are_not_there(suite: Suite, api: Api) -> None:
    async def check() -> None:
        async with _renamed(suite, "auth", "grid", "deploy", "vault"):
            await asyncio.to_thread(soon, lambda: _refused(api, writes=False), message="reads are refused in words")
            assert await asyncio.to_thread(_refused, api, writes=True)

    asyncio.run(check())


@asynccontextmanager
async def _renamed(suite: Suite, *schemas: str) -> AsyncIterator[None]:
    admin = await asyncpg.connect(suite.database_url)
    try:
        for schema in schemas:
            await admin.execute(f"alter schema {schema} rename to away_{schema}")
        yield
    finally:
        for schema in schemas:
            await admin.execute(f"alter schema away_{schema} rename to {schema}")
        await admin.close()
