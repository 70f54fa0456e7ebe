"""One record that cannot be sent keeps nobody from the others, and a watch that cannot heal is told."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import pytest
from prometheus_client import REGISTRY

from kontena.grid.v1 import watch_pb2 as pb
from services.kernel.informer import Change, Informer, Synced, Upsert
from services.kernel.watch import messages


@dataclass(frozen=True)
class Named:
    """A record."""

    id: str


async def test_a_record_that_is_too_large_is_left_out_and_counted() -> None:
    async def changes() -> AsyncIterator[Change[Named]]:
        for name in ("a", "b" * 5_000_000, "c"):
            yield Upsert(name[:3], Named(name))

    def record(named: Named) -> pb.NodeRecord:
        return pb.NodeRecord(name=named.id)

    def left_out() -> float:
        return REGISTRY.get_sample_value("watch_records_left_out_total", {"message": "NodeEvent"}) or 0.0

    before = left_out()
    assert [event.upserted.name async for event in messages(pb.NodeEvent, changes(), record)] == ["a", "c"]
    assert left_out() - before == 1


class Failing:
    """A watch that fails as it is told, or works."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def __call__(self) -> AsyncIterator[Change[str]]:
        if self.error is not None:
            raise self.error
        yield Synced()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("too large"), "the watch of nodes fails"),
        (grpc.aio.AioRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, None, None), "the watch of nodes fails"),
        (grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, None, None), None),
    ],
    ids=["fault", "too large", "away"],
)
async def test_only_a_watch_that_waiting_does_not_heal_is_broken(
    error: Exception, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Failing()
    found: Informer[str] = Informer("nodes", watch)
    watch.error = error
    with pytest.raises(type(error)):
        await found.run()
    assert found.broken() is None, "it has just begun to fail"
    clock = time.monotonic() + 60
    monkeypatch.setattr("services.kernel.informer.time.monotonic", lambda: clock)
    assert found.broken() == told
    watch.error = None
    with pytest.raises(ConnectionError):
        await found.run()
    assert found.broken() is None
