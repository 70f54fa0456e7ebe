"""A grid keeps its newest logs up to its quota, and takes none of the room of another grid."""

import pytest
import sqlalchemy as sa

from services.deploy_svc.loops.log_quota import LogQuota
from services.deploy_svc.store import tables
from services.kernel.db import Database
from tests.integration.deploy_svc.agents import log_line, log_pusher
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1, NODE_2, OTHER_GRID, Neighbours
from tests.support.running import Running

LINES = 3000
PLENTY = 2**40


async def stored(db: Database, grid_id: str) -> list[str]:
    logs = tables.container_logs.c
    async with db.read() as tx:
        query = sa.select(logs.data).where(logs.grid_id == grid_id).order_by(logs.id)
        return list((await tx.execute(query)).scalars())


async def used(db: Database, grid_id: str) -> int:
    usage = tables.log_usage.c
    async with db.read() as tx:
        query = sa.select(sa.func.coalesce(sa.func.sum(usage.bytes), 0)).where(usage.grid_id == grid_id)
        return int((await tx.execute(query)).scalar_one())


@pytest.fixture
async def flooded(deploy: Running, deploy_neighbours: Neighbours) -> None:
    """One grid with a megabyte of lines, another one with a single line."""
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1)
    deploy_neighbours.grids.put_node(NODE_2, "node-b", 2, grid_id=OTHER_GRID)
    async with log_pusher(deploy.channel) as pusher:
        for first in range(0, LINES, 500):
            await pusher.push([log_line(f"{n} {'x' * 100}", n) for n in range(first, first + 500)])
    async with log_pusher(deploy.channel, node_id=NODE_2, grid_id=OTHER_GRID) as pusher:
        await pusher.push([log_line("quiet")])


@pytest.mark.usefixtures("flooded")
async def test_the_oldest_lines_of_a_grid_above_its_quota_go_first(
    deploy_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.deploy_svc.store.log_usage._ROWS_AT_ONCE", 100)
    before = await used(deploy_db, GRID)
    assert before > LINES * 350
    await LogQuota(deploy_db, before, PLENTY).turn()
    assert len(await stored(deploy_db, GRID)) == LINES
    await LogQuota(deploy_db, before // 2, PLENTY).turn()
    left = await stored(deploy_db, GRID)
    assert 0.4 * LINES < len(left) < 0.5 * LINES
    assert left[-1].startswith(f"{LINES - 1} ")
    assert [int(line.split()[0]) for line in left] == list(range(LINES - len(left), LINES))
    assert await used(deploy_db, GRID) <= before // 2
    assert await stored(deploy_db, OTHER_GRID) == ["quiet"]


@pytest.mark.usefixtures("flooded")
async def test_all_grids_together_have_a_quota_and_the_largest_gives(
    deploy_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.deploy_svc.store.log_usage._ROWS_AT_ONCE", 100)
    total = await used(deploy_db, GRID) + await used(deploy_db, OTHER_GRID)
    await LogQuota(deploy_db, PLENTY, total).turn()
    assert len(await stored(deploy_db, GRID)) == LINES
    await LogQuota(deploy_db, PLENTY, total // 2).turn()
    assert await used(deploy_db, GRID) + await used(deploy_db, OTHER_GRID) <= total // 2
    left = await stored(deploy_db, GRID)
    assert 0.4 * LINES < len(left) < 0.5 * LINES
    assert left[-1].startswith(f"{LINES - 1} ")
    assert await stored(deploy_db, OTHER_GRID) == ["quiet"]


@pytest.mark.usefixtures("flooded")
async def test_a_count_without_lines_is_forgotten(deploy_db: Database) -> None:
    """Partitions are dropped, and databases are restored."""
    async with deploy_db.transaction() as tx:
        await tx.execute(tables.container_logs.delete())
    await LogQuota(deploy_db, 1, PLENTY).turn()
    assert await used(deploy_db, GRID) == 0
