import asyncio
import os
import subprocess
import sys
from functools import partial
from typing import Any

import asyncpg

from services.vault_svc.app import build, rotate
from services.vault_svc.domain.keys import derive
from tests.integration.vault_svc.caller import Caller, resolve
from tests.integration.vault_svc.conftest import KEY, MakeSettings
from tests.integration.vault_svc.stand_ins import ALPHA
from tests.support.running import running

NEW = "the second key of the vault in tests"
COUNT = 130


async def _rows(url: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    rows: list[Any] = await connection.fetch("select * from vault.secrets order by name")
    await connection.close()
    return rows


async def test_no_read_or_write_fails_while_keys_rotate(vault_settings: MakeSettings, vault_url: str) -> None:
    # A replica that already has the new key, and one that still encrypts with the old one.
    ahead = vault_settings(vault_key=NEW, vault_old_keys=KEY)
    behind = vault_settings(vault_old_keys=NEW)
    async with running(partial(build, behind)) as old, running(partial(build, ahead)) as new:
        members = [Caller(old.channel, "member"), Caller(new.channel, "member")]
        values = {f"N{number}": f"value {number}" for number in range(COUNT)}
        await asyncio.gather(*(members[0].create(name, value) for name, value in values.items()))
        before = await _rows(vault_url)
        done = asyncio.Event()

        async def read(member: Caller) -> int:
            reads = 0
            while not done.is_set() or reads < 20:
                name = f"N{reads * 7 % COUNT}"
                found = await member.read(f"alpha/{name}")
                assert (found.status, found.body.value) == (200, values[name])
                reads += 1
            return reads

        async def write(member: Caller) -> None:
            number = 0
            while not done.is_set():
                number += 1
                assert (await member.update("alpha/BUSY", f"busy {number}", upsert=True)).status in {200, 201}
            values["BUSY"] = f"busy {number}"

        async def turn() -> None:
            try:
                assert await rotate(ahead) == 0
            finally:
                done.set()

        await asyncio.gather(turn(), write(members[1]), *(read(member) for member in members))
        assert dict((await resolve(old.channel, ALPHA, *values)).body.values) == values

    rows = {row["name"]: row for row in await _rows(vault_url)}
    assert {row["key_id"] for row in rows.values()} == {derive(NEW).id}
    for row in before:
        after = rows[row["name"]]
        assert (after["updated_at"], after["version"]) == (row["updated_at"], row["version"] + 1)
        # Everything is new, the data key too: the old key opens nothing of it any more.
        assert after["sealed"][21:69] != row["sealed"][21:69]
        assert after["sealed"][81:] != row["sealed"][81:]
    async with running(partial(build, vault_settings(vault_key=NEW))) as served:
        assert dict((await resolve(served.channel, ALPHA, *values)).body.values) == values
    async with running(partial(build, vault_settings()), refuses=True) as served:
        assert (await Caller(served.channel, "member").read("alpha/N1")).status == 503


async def test_what_does_not_open_is_left_and_reported(vault_settings: MakeSettings, vault_url: str) -> None:
    async with running(partial(build, vault_settings())) as served:
        for name in ("GOOD", "DAMAGED"):
            await Caller(served.channel, "member").create(name, "v")
    connection = await asyncpg.connect(vault_url)
    await connection.execute("update vault.secrets set sealed = 'x' where name = 'DAMAGED'")
    await connection.close()
    settings = vault_settings(vault_key=NEW, vault_old_keys=KEY)
    assert await rotate(settings) == 1
    assert [row["key_id"] for row in await _rows(vault_url)] == [derive(KEY).id, derive(NEW).id]
    # The old key is still needed, and the vault still opens with both.
    async with running(partial(build, settings)) as served:
        assert (await Caller(served.channel, "member").read("alpha/GOOD")).body.value == "v"


async def test_a_wrong_key_rotates_nothing(vault_settings: MakeSettings, vault_url: str) -> None:
    async with running(partial(build, vault_settings())) as served:
        await Caller(served.channel, "member").create("NAME", "v")
    before = await _rows(vault_url)
    for settings in (vault_settings(vault_key=NEW), vault_settings(vault_key="")):
        assert await rotate(settings) == 1
    assert await _rows(vault_url) == before


def _command(url: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.vault_svc", *arguments],
        env=os.environ | {"DATABASE_URL": url, "CLUSTER_SECRET": "0123456789abcdef"} | env,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


async def test_the_command(vault_settings: MakeSettings, vault_url: str) -> None:
    async with running(partial(build, vault_settings())) as served:
        await Caller(served.channel, "member").create("NAME", "v")
    rotated = await asyncio.to_thread(partial(_command, vault_url, "rotate-keys", VAULT_KEY=NEW, VAULT_OLD_KEYS=KEY))
    assert rotated.returncode == 0, rotated.stderr
    assert "all values are under the current key" in rotated.stderr
    assert KEY not in rotated.stderr
    assert NEW not in rotated.stderr
