from functools import partial

import asyncpg

from services.vault_svc.app import build
from tests.integration.vault_svc.caller import Caller
from tests.integration.vault_svc.conftest import MakeSettings
from tests.integration.vault_svc.stand_ins import ALPHA, BETA, Neighbours
from tests.support.eventually import eventually
from tests.support.running import running

SOON = 0.3


async def _fetch(url: str, query: str) -> list[str]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(query)
    await connection.close()
    return [row[0] for row in rows]


async def _grids(url: str) -> list[str]:
    return await _fetch(url, "select distinct grid_id from vault.secrets order by 1")


async def _noticed(url: str) -> list[str]:
    return await _fetch(url, "select grid_id from vault.departed_grids order by 1")


async def test_secrets_of_a_deleted_grid_go_and_a_new_grid_of_the_name_starts_empty(
    vault_settings: MakeSettings, vault_url: str, vault_neighbours: Neighbours
) -> None:
    async with running(partial(build, vault_settings(grid_purge_seconds=SOON))) as served:
        member, admin = Caller(served.channel, "member"), Caller(served.channel, "admin")
        await member.create("NAME", "v")
        await member.create("NAME", "v", grid="beta")
        vault_neighbours.grids.remove(ALPHA)
        vault_neighbours.grids.put("c" * 24, "alpha")

        async def purged() -> bool:
            return await _grids(vault_url) == [BETA] and await _noticed(vault_url) == []

        await eventually(purged)
        assert (await member.read("beta/NAME")).body.value == "v"
        assert (await admin.read("alpha/NAME")).status == 404
    vault_neighbours.grids.remove("c" * 24)


async def test_a_grid_deleted_while_the_vault_was_down_is_found_at_start(
    vault_settings: MakeSettings, vault_url: str, vault_neighbours: Neighbours
) -> None:
    async with running(partial(build, vault_settings())) as served:
        await Caller(served.channel, "member").create("NAME", "v")
    vault_neighbours.grids.remove(ALPHA)
    async with running(partial(build, vault_settings(grid_purge_seconds=SOON))):

        async def purged() -> bool:
            return await _grids(vault_url) == []

        await eventually(purged)


async def test_nothing_goes_before_the_margin_and_a_returning_grid_is_forgotten(
    vault_settings: MakeSettings, vault_url: str, vault_neighbours: Neighbours
) -> None:
    async with running(partial(build, vault_settings(grid_purge_seconds=600))) as served:
        await Caller(served.channel, "member").create("NAME", "v")
        vault_neighbours.grids.remove(ALPHA)

        async def noticed() -> bool:
            return await _noticed(vault_url) == [ALPHA]

        await eventually(noticed)
        assert await _grids(vault_url) == [ALPHA]
    vault_neighbours.grids.put(ALPHA, "alpha")
    async with running(partial(build, vault_settings(grid_purge_seconds=SOON))) as served:

        async def forgotten() -> bool:
            return await _noticed(vault_url) == []

        await eventually(forgotten)
        assert (await Caller(served.channel, "member").read("alpha/NAME")).body.value == "v"


async def test_a_watch_that_is_wrong_costs_nothing(
    vault_settings: MakeSettings, vault_url: str, vault_neighbours: Neighbours
) -> None:
    # For so long that it is seen between the notice and the second look.
    async with running(partial(build, vault_settings(grid_purge_seconds=3))) as served:
        await Caller(served.channel, "member").create("NAME", "v")
        noticed: list[str] = []
        # The watch says that the grid is gone; a new snapshot says that it is not.
        vault_neighbours.grids.tell_removed(ALPHA)

        async def cleared_after_notice() -> bool:
            now = await _noticed(vault_url)
            noticed.extend(now)
            return bool(noticed) and not now

        await eventually(cleared_after_notice)
        assert await _grids(vault_url) == [ALPHA]
