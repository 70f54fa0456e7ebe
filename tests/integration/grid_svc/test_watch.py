import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import grpc
import pytest

from kontena.grid.v1 import watch_pb2 as pb
from kontena.grid.v1 import watch_pb2_grpc
from tests.integration.grid_svc.agents import joined
from tests.integration.grid_svc.caller import Caller
from tests.support.running import Running, service_metadata

Users = Callable[..., Caller]


class Watch:
    """A stream of events, read up to a fact."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.seen: list[Any] = []

    async def until(self, fact: Callable[[Any], bool]) -> Any:
        async with asyncio.timeout(60):
            while True:
                event = await self.call.read()
                assert event is not grpc.aio.EOF
                self.seen.append(event)
                if fact(event):
                    return event

    async def until_all(self, *facts: Callable[[Any], bool]) -> None:
        await self.until(lambda _: all(any(map(fact, self.seen)) for fact in facts))

    async def synced(self) -> list[Any]:
        await self.until(lambda event: event.HasField("synced"))
        return self.seen


def watch_grids(replica: Running) -> Watch:
    stub: Any = watch_pb2_grpc.GridWatchServiceStub(replica.channel)
    return Watch(stub.WatchGrids(pb.WatchGridsRequest(), metadata=service_metadata()))


def watch_nodes(replica: Running) -> Watch:
    stub: Any = watch_pb2_grpc.GridWatchServiceStub(replica.channel)
    return Watch(stub.WatchNodes(pb.WatchNodesRequest(), metadata=service_metadata()))


async def test_grids_as_snapshot_then_changes_on_any_replica(
    grid: Running, other_replica: Running, admin: Caller
) -> None:
    await admin.create_grid({"name": "alpha", "initial_size": 3, "default_affinity": ["label==a"]})
    watches = [watch_grids(grid), watch_grids(other_replica)]
    for watch in watches:
        snapshot = await watch.synced()
        assert [event.upserted.name for event in snapshot[:-1]] == ["alpha"]
        record = snapshot[0].upserted
        assert (record.initial_size, list(record.default_affinity), record.subnet, record.supernet) == (
            3,
            ["label==a"],
            "10.81.0.0/16",
            "10.80.0.0/12",
        )
    await admin.create_grid({"name": "beta"})
    await admin.update_grid("beta", {"default_affinity": ["label==b"]})
    await admin.delete_grid("alpha")
    for watch in watches:
        # Changes of different grids may come in any order, those of one in theirs.
        await watch.until_all(
            lambda event: event.deleted == record.id,
            lambda event: event.upserted.name == "beta" and list(event.upserted.default_affinity) == ["label==b"],
        )
        watch.call.cancel()


async def test_nodes_as_snapshot_then_changes_on_any_replica(
    grid: Running, other_replica: Running, admin: Caller, token: str
) -> None:
    async with joined(grid.channel, token, 1, labels=["a=b"]) as one:
        watch = watch_nodes(other_replica)
        record = (await watch.synced())[0].upserted
        assert (record.name, record.node_number, record.connected, record.session) == ("node-1", 1, True, 1)
        assert (record.overlay_ip, record.initial_member, list(record.labels)) == ("10.81.0.1", True, ["a=b"])
        await one.info(cpus=4, mem_total=8e9, public_ip="1.1.1.1", volume_drivers=[{"name": "local"}])
        found = (await watch.until(lambda event: event.upserted.cpus == 4)).upserted
        assert (found.mem_total, found.public_ip, found.volume_drivers[0].name) == (8e9, "1.1.1.1", "local")
        await one.stats(memory={"used": 5, "total": 8})
        assert (await watch.until(lambda event: event.upserted.memory.used == 5)).upserted.memory.total == 8
        await admin.update_node("alpha/node-1", {"availability": "drain"})
        await watch.until(lambda event: event.upserted.availability == "drain")
        async with joined(other_replica.channel, token, 1) as again:
            await watch.until(lambda event: event.upserted.session == 2)
            await again.goodbye()
        lost = (await watch.until(lambda event: event.HasField("upserted") and not event.upserted.connected)).upserted
        assert lost.HasField("disconnected_at")
        assert 0 <= lost.disconnected_seconds < 60
        await admin.delete_node("alpha/node-1")
        await watch.until(lambda event: event.deleted == record.id)
        watch.call.cancel()


async def test_signs_of_life_and_repeated_info_are_no_events(grid: Running, admin: Caller, token: str) -> None:
    async with joined(grid.channel, token) as agent:
        await agent.info(cpus=4)
        watch = watch_nodes(grid)
        if (await watch.synced())[0].upserted.cpus != 4:
            await watch.until(lambda event: event.upserted.cpus == 4)
        watch.seen.clear()
        for _ in range(5):
            await agent.info(cpus=4)
            await agent.heartbeat()
        await admin.update_node("alpha/node-1", {"labels": ["last"]})
        await watch.until(lambda event: list(event.upserted.labels) == ["last"])
        assert len(watch.seen) == 1
        watch.call.cancel()


async def test_after_lost_notifications_everything_is_sent_again(grid: Running, admin: Caller, grid_url: str) -> None:
    await admin.create_grid({"name": "alpha"})
    await admin.create_grid({"name": "beta"})
    watch = watch_grids(grid)
    gone = next(event.upserted.id for event in await watch.synced() if event.upserted.name == "alpha")
    watch.seen.clear()
    connection = await asyncpg.connect(grid_url)
    # What nobody was told of, and then the end of every listening connection.
    await connection.execute("delete from grid.grids where name = 'alpha'")
    await connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%'")
    await connection.close()
    seen = await watch.synced()
    assert [event.deleted for event in seen if event.deleted] == [gone]
    assert [event.upserted.name for event in seen if event.HasField("upserted")] == ["beta"]
    watch.call.cancel()


async def test_records_by_name(grid: Running, admin: Caller) -> None:
    await admin.create_grid({"name": "alpha", "subnet": "10.9.0.0/16"})
    stub: Any = watch_pb2_grpc.GridWatchServiceStub(grid.channel)
    found = await stub.GetGridRecord(pb.GetGridRecordRequest(name="alpha"), metadata=service_metadata())
    assert (found.name, found.subnet) == ("alpha", "10.9.0.0/16")
    with pytest.raises(grpc.aio.AioRpcError) as missing:
        await stub.GetGridRecord(pb.GetGridRecordRequest(name="beta"), metadata=service_metadata())
    assert missing.value.code() is grpc.StatusCode.NOT_FOUND


async def test_only_services_may_watch(grid: Running, users: Users) -> None:
    stub: Any = watch_pb2_grpc.GridWatchServiceStub(grid.channel)
    for metadata in ((), (("authorization", "Bearer x"),)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetGridRecord(pb.GetGridRecordRequest(name="alpha"), metadata=metadata)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
