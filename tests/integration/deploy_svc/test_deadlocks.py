"""Postgres gives up transactions of the loops, as in a deadlock: they are tried again, and no deploy ends so."""

from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from services.deploy_svc import app
from tests.integration.deploy_svc.engine_fixtures import Engine, engine, settings
from tests.integration.deploy_svc.stack_rest import StackRest, service
from tests.integration.deploy_svc.stand_ins import NODE_1
from tests.support.postgres import TestPostgres, empty_tables

pytestmark = pytest.mark.slow

# More often than a deploy may fail for a reason of its own.
_TIMES = 6


@pytest.fixture(scope="session")
def deadlock_url(postgres: TestPostgres) -> str:
    """A database of its own: what makes transactions fail stays in it."""
    url = postgres.database()
    app.migrate(settings(url))
    return url


@pytest.fixture
async def world(deadlock_url: str) -> AsyncIterator[Engine]:
    await empty_tables(deadlock_url, "deploy")
    async with engine(deadlock_url) as found:
        found.node(NODE_1, 1)
        yield found


async def _give_up(world: Engine, table: str, code: str) -> None:
    """The next updates of the table end with this SQLSTATE."""
    async with world.db.transaction() as tx:
        for statement in (
            f"create sequence deploy.given_up_{table}",
            f"""create function deploy.give_up_{table}() returns trigger language plpgsql as $$ begin
                if nextval('deploy.given_up_{table}') <= {_TIMES} then
                    raise exception using errcode = '{code}', message = 'given up';
                end if;
                return new;
            end $$""",
            f"""create trigger give_up before update on deploy.{table} for each row
                execute function deploy.give_up_{table}()""",
        ):
            await tx.execute(sa.text(statement))


async def _given_up(world: Engine, table: str) -> int:
    async with world.db.read() as tx:
        sequence: sa.ColumnElement[int] = sa.literal_column(f"deploy.given_up_{table}.last_value")
        return int(
            (await tx.execute(sa.select(sequence).select_from(sa.text(f"deploy.given_up_{table}")))).scalar_one()
        )


@pytest.mark.parametrize(("table", "code"), [("stack_deploys", "40P01"), ("service_deploys", "40001")])
async def test_a_stack_deploy_outlives_deadlocks(world: Engine, table: str, code: str) -> None:
    replica = await world.start_replica()
    world.attach(replica, NODE_1)
    stacks = StackRest(replica.channel)
    await stacks.created(service("web"), service("db"))
    await _give_up(world, table, code)
    deploy = await stacks.finished((await stacks.deploy()).body["id"])
    assert deploy["state"] == "success", deploy
    assert await _given_up(world, table) > _TIMES
