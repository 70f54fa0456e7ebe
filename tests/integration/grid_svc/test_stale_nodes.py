from collections.abc import AsyncIterator

import grpc
import pytest

from services.grid_svc.clients.counts import Usage
from services.grid_svc.loops.stale_nodes import StaleNodes
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from services.kernel.db import Database
from tests.integration.grid_svc.caller import Caller
from tests.integration.grid_svc.stand_ins import Neighbours
from tests.support.eventually import eventually
from tests.support.running import CLUSTER_SECRET


@pytest.fixture
async def usage(grid_neighbours: Neighbours) -> AsyncIterator[Usage]:
    channel = ServiceChannel(grid_neighbours.address, ClusterTokens(CLUSTER_SECRET), "grid_svc")
    yield Usage(channel, 5)
    await channel.close()


async def test_only_ephemeral_nodes_unseen_for_hours_are_removed(
    admin: Caller, token: str, db: Database, grid_neighbours: Neighbours, usage: Usage
) -> None:
    """`alpha` has three initial members; numbers from 4 on may go."""
    nodes = [
        (1, "initial", ["ephemeral"], False, 7.0),
        (4, "plain", ["ephemeral"], False, 7.0),
        (5, "valued", ["a=b", "ephemeral=yes"], False, 7.0),
        (6, "lasting", ["a=b", "ephemerals"], False, 7.0),
        (7, "recent", ["ephemeral"], False, 5.9),
        (8, "connected", ["ephemeral"], True, 7.0),
        (9, "never-seen", ["ephemeral"], False, None),
        (10, "with-data", ["ephemeral"], False, 7.0),
    ]
    async with db.transaction() as tx:
        for number, name, labels, connected, hours in nodes:
            await tx.exec_driver_sql(
                "insert into grid.nodes (id, grid_id, node_id, name, node_number, labels, connected, last_seen_at) "
                "select cast($1 as text), id, $1, $2, $3, $4, $5, now() - make_interval(secs => $6) from grid.grids",
                (f"{number:024}", name, number, labels, connected, None if hours is None else hours * 3600),
            )
    grid_neighbours.usage.stateful_nodes = {f"{10:024}"}
    loop = StaleNodes(db, usage, 6)
    grid_neighbours.usage.failing = True
    with pytest.raises(grpc.aio.AioRpcError, match="not now"):
        await loop.turn()
    assert len((await admin.nodes("alpha")).body["nodes"]) == len(nodes)
    grid_neighbours.usage.failing = False
    for _ in range(2):
        await loop.turn()
    left = {node["name"] for node in (await admin.nodes("alpha")).body["nodes"]}
    assert left == {"initial", "lasting", "recent", "connected", "never-seen", "with-data"}

    async def audited() -> bool:
        removed = [name for _, event, name in grid_neighbours.audit.seen() if event == "remove node"]
        return sorted(removed) == ["plain", "valued"]

    await eventually(audited)
