"""A stop of a stack ends its deploys, whatever step they are in: every step in turn, by hand, and at random times."""

import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest
import sqlalchemy as sa

from services.deploy_svc.domain.instance_status import InstanceStatus
from services.deploy_svc.loops.rollout import RolloutLoop
from services.deploy_svc.loops.stacks import StackLoop
from services.deploy_svc.store import instances, tables
from services.kernel.listen import Listener
from tests.integration.deploy_svc.engine_fixtures import Engine, engine
from tests.integration.deploy_svc.stack_rest import StackRest, link, service
from tests.integration.deploy_svc.stand_ins import NODE_1
from tests.support.eventually import eventually
from tests.support.postgres import empty_tables

# Two that depend on one another, and one by itself.
SERVICES = (service("web", links=[link("db")], instances=2), service("db"), service("log"))
_MOST_STEPS = 24


@pytest.fixture
async def world(engine_url: str) -> AsyncIterator[Engine]:
    await empty_tables(engine_url, "deploy")
    async with engine(engine_url) as found:
        found.node(NODE_1, 1)
        yield found


class ByHand:
    """The loops and the node, moved one step at a time."""

    def __init__(self, world: Engine, rollout: RolloutLoop, stacks: StackLoop, deploy_id: str) -> None:
        self._world, self._rollout, self._stacks, self._deploy_id = world, rollout, stacks, deploy_id
        self._sequence = 0

    async def move(self, step: int) -> None:
        """The stack loop, the rollouts, and the node take turns."""
        match step % 3:
            case 0:
                await self._stacks.step(self._deploy_id)
            case 1:
                async with self._world.db.read() as tx:
                    ids = list((await tx.execute(sa.select(tables.services.c.id))).scalars())
                for service_id in ids:
                    await self._rollout.step(service_id)
            case 2:
                await self._report()

    async def _report(self) -> None:
        self._sequence += 1
        async with self._world.db.transaction() as tx:
            rows = (await tx.execute(tables.instances.select().where(tables.instances.c.node_id == NODE_1))).all()
            statuses = [
                InstanceStatus(row.id, row.deploy_rev, row.desired_state, None, f"c-{row.id}", None, None)
                for row in rows
            ]
            await instances.store_report(tx, NODE_1, 1, self._sequence, statuses)


async def running(world: Engine) -> list[str]:
    """What still runs, is to run, or is under way."""
    async with world.db.read() as tx:
        queries = (
            "select name from deploy.services where state = 'running'",
            "select 'instance ' || id from deploy.instances where desired_state = 'running'",
            "select 'deploy ' || id from deploy.service_deploys where finished_at is null",
            "select 'stack deploy ' || id from deploy.stack_deploys where finished_at is null",
        )
        return [str(row[0]) for query in queries for row in await tx.execute(sa.text(query))]


@pytest.mark.timeout(180)
async def test_a_stop_ends_a_stack_deploy_in_every_step(world: Engine, engine_url: str) -> None:
    rollout, stacks_loop = await world.lone_loop(), StackLoop(world.db, Listener(engine_url, ()), world.directory)
    async with world.replica(role="api") as api:
        stacks = StackRest(api.channel)
        ends: list[str] = []
        for stopped_after in range(_MOST_STEPS):
            await stacks.created(*SERVICES, name=f"s{stopped_after}")
            path = f"g1/s{stopped_after}"
            deploy_id = (await stacks.deploy(path)).body["id"]
            hand = ByHand(world, rollout, stacks_loop, deploy_id)
            for step in range(stopped_after):
                await hand.move(step)
            assert (await stacks.stop(path)).status == 200
            for step in range(12):
                if await running(world) == []:
                    break
                await hand.move(step)
            assert await running(world) == [], f"stopped after {stopped_after} steps"
            found = (await stacks.get_deploy(deploy_id, path)).body
            ends.append(found["state"])
            await empty_tables(engine_url, "deploy")
            if found["state"] == "success":
                break
        assert set(ends[:-1]) == {"error"}
        assert ends[-1] == "success", "the last stop comes after the end"
        assert len(ends) > 5


@pytest.mark.timeout(180)
async def test_a_stop_at_any_time_ends_a_stack_deploy(world: Engine) -> None:
    replica = await world.start_replica()
    world.attach(replica, NODE_1)
    stacks, chance = StackRest(replica.channel), Random(7)
    for number in range(8):
        await stacks.created(*SERVICES, name=f"s{number}")
        await stacks.deploy(f"g1/s{number}")
        await asyncio.sleep(chance.uniform(0, 0.4))
        assert (await stacks.stop(f"g1/s{number}")).status == 200
    await eventually(lambda: _quiet(world), message="nothing runs")


async def _quiet(world: Engine) -> bool:
    assert await running(world) == []
    return True
