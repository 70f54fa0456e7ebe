import asyncio
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from kontena.deploy.v1 import grid_usage_pb2 as pb
from kontena.deploy.v1 import grid_usage_pb2_grpc
from services.deploy_svc.store import tables
from services.kernel.db import Database
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1, NODE_2, OTHER_GRID
from tests.support.running import Running, service_metadata


async def test_nodes_with_data_of_stateful_services_are_found(deploy: Running, rest: Rest, deploy_db: Database) -> None:
    await rest.created("web")
    await rest.created("db", stateful=True)
    async with deploy_db.transaction() as tx:
        for number, row in enumerate((await tx.execute(sa.select(tables.services))).all()):
            values = {"id": f"{number:024x}", "service_id": row.id, "grid_id": GRID, "instance_number": 1}
            node_id = NODE_1 if row.name == "db" else NODE_2
            await tx.execute(tables.instances.insert().values(**values, node_id=node_id, desired_state="stopped"))
    stub = grid_usage_pb2_grpc.GridUsageServiceStub(deploy.channel)
    request = pb.FindStatefulNodesRequest(node_ids=[NODE_1, NODE_2, "\0"])
    response = await stub.FindStatefulNodes(request, metadata=service_metadata())
    assert list(response.node_ids) == [NODE_1]


async def test_grids_are_counted_together(deploy: Running, rest: Rest, deploy_db: Database) -> None:
    await rest.created("a")
    await rest.created("b")
    async with deploy_db.transaction() as tx:
        service_id = (await tx.execute(sa.select(tables.services.c.id))).scalars().first()
        rows = [
            {
                "id": f"{number:024x}",
                "service_id": service_id,
                "grid_id": GRID,
                "instance_number": number,
                "container_id": c,
            }
            for number, c in ((1, "x"), (2, None))
        ]
        await tx.execute(tables.instances.insert().values(rows))
    stub = grid_usage_pb2_grpc.GridUsageServiceStub(deploy.channel)
    request = pb.CountGridUsageRequest(grid_ids=[GRID, OTHER_GRID, "\0"])
    response = await stub.CountGridUsage(request, metadata=service_metadata())
    assert {key: (usage.service_count, usage.container_count) for key, usage in response.usages.items()} == {
        GRID: (2, 1)
    }


class Followed:
    """A watch of usage, kept as a follower keeps it."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.usage: dict[str, tuple[int, int]] = {}
        self.synced = False

    async def until(self, fact: Callable[["Followed"], bool]) -> None:
        async with asyncio.timeout(30):
            while not fact(self):
                event = await self.call.read()
                match event.WhichOneof("event"):
                    case "upserted":
                        found = event.upserted
                        self.usage[found.grid_id] = (found.service_count, found.container_count)
                    case "deleted":
                        del self.usage[event.deleted]
                    case "synced":
                        self.synced = True


async def test_what_grids_hold_is_followed(deploy: Running, rest: Rest, deploy_db: Database) -> None:
    await rest.created("a")
    stub = grid_usage_pb2_grpc.GridUsageServiceStub(deploy.channel)
    watch = Followed(stub.WatchGridUsage(pb.WatchGridUsageRequest(), metadata=service_metadata()))
    await watch.until(lambda seen: seen.synced)
    assert watch.usage == {GRID: (1, 0)}
    await rest.created("b")
    await watch.until(lambda seen: seen.usage == {GRID: (2, 0)})
    service_id, instances = sa.select(tables.services.c.id).limit(1).scalar_subquery(), tables.instances
    for values in ({"container_id": "x"}, {"container_id": None}, {"container_id": "y"}):
        async with deploy_db.transaction() as tx:
            await tx.execute(instances.delete())
            row = {"id": "1" * 24, "service_id": service_id, "grid_id": GRID, "instance_number": 1}
            await tx.execute(instances.insert().values(**row, container_id=values["container_id"] and "w"))
            await tx.execute(instances.update().values(**values))
        count = 0 if values["container_id"] is None else 1
        await watch.until(lambda seen, count=count: seen.usage == {GRID: (2, count)})
    async with deploy_db.transaction() as tx:
        await tx.execute(tables.services.delete())
    await watch.until(lambda seen: seen.usage == {})
    watch.call.cancel()
