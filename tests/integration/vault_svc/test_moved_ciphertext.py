from collections.abc import Callable

import asyncpg
import pytest

from tests.integration.vault_svc.caller import Caller, resolve
from tests.integration.vault_svc.stand_ins import ALPHA, BETA
from tests.support.running import Running

MOVES = {
    "to another secret of the grid": "update vault.secrets t set sealed = f.sealed from vault.secrets f"
    " where f.name = 'FROM' and t.name = 'TO' and t.grid_id = f.grid_id",
    "to another grid": f"update vault.secrets set grid_id = '{BETA}' where name = 'FROM'",  # noqa: S608
    "to another name": "update vault.secrets set name = 'RENAMED' where name = 'FROM'",
    "to another record": "update vault.secrets set id = repeat('f', 24) where name = 'FROM'",
    "damaged": "update vault.secrets set sealed = set_byte(sealed, 100, get_byte(sealed, 100) # 1) where name = 'FROM'",
    "cut": "update vault.secrets set sealed = substr(sealed, 1, 20) where name = 'FROM'",
}
WHERE = {
    "to another secret of the grid": "alpha/TO",
    "to another grid": "beta/FROM",
    "to another name": "alpha/RENAMED",
}


@pytest.mark.parametrize("move", MOVES)
async def test_a_moved_ciphertext_does_not_decrypt(
    vault: Running, member: Caller, vault_url: str, move: str, logged: Callable[[], str]
) -> None:
    await member.create("FROM", "the value from")
    await member.create("TO", "the value to")
    connection = await asyncpg.connect(vault_url)
    assert await connection.execute(MOVES[move]) == "UPDATE 1"
    await connection.close()
    path = WHERE.get(move, "alpha/FROM")
    grid, name = path.split("/")

    read = await member.read(path)
    assert read.status == 503
    assert "write it anew" in read.body["error"]
    await member.create("OTHER", "the other", grid=grid)
    resolved = (await resolve(vault.channel, ALPHA if grid == "alpha" else BETA, name, "OTHER")).body
    assert (dict(resolved.values), list(resolved.unreadable)) == ({"OTHER": "the other"}, [name])
    assert len((await member.of_grid(grid)).body.secrets) > 0
    assert "the value" not in logged()

    # Writing a value is the way out.
    assert (await member.update(path, "new")).status == 200
    assert (await member.read(path)).body.value == "new"
