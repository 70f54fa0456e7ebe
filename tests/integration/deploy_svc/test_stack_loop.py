"""Deploys and removals of stacks carried out by replicas on one database, with scripted nodes."""

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from kontena.deploy.v1 import assignment_pb2 as pb
from services.deploy_svc.domain.service_spec import Link, ServiceSpec
from services.deploy_svc.store import grids, stack_tables
from services.deploy_svc.store import services as service_store
from services.deploy_svc.store import stacks as stack_store
from tests.integration.deploy_svc.engine_fixtures import Agent, Engine, engine, ignore, obey
from tests.integration.deploy_svc.stack_rest import StackRest, document, link, service
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1
from tests.support.eventually import eventually
from tests.support.postgres import empty_tables

CHAIN = (service("web", links=[link("api")]), service("api", links=[link("db")]), service("db"))


@pytest.fixture
async def world(engine_url: str) -> AsyncIterator[Engine]:
    await empty_tables(engine_url, "deploy")
    async with engine(engine_url) as found:
        found.node(NODE_1, 1)
        yield found


@pytest.fixture
async def stacks(world: Engine) -> StackRest:
    return StackRest((await world.start_replica()).channel)


@pytest.fixture
async def agent(world: Engine, stacks: StackRest) -> Agent:
    replica = await world.start_replica()
    return world.attach(replica, NODE_1)


async def test_services_are_deployed_one_after_the_other_after_what_they_link_to(
    stacks: StackRest, agent: Agent
) -> None:
    await stacks.created(*CHAIN, expose="web")
    deploy = await stacks.finished((await stacks.deploy()).body["id"])
    assert deploy["state"] == "success", deploy
    assert [item["service_id"] for item in deploy["service_deploys"]] == ["g1/shop/db", "g1/shop/api", "g1/shop/web"]
    assert {item["state"] for item in deploy["service_deploys"]} == {"success"}
    times = [(item["started_at"], item["finished_at"]) for item in deploy["service_deploys"]]
    assert times == sorted(times)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(times))
    exposed = {item.pod.container_name: item.pod.exposed for item in agent.assigned.values()}
    assert exposed == {"shop.web-1": True, "shop.api-1": False, "shop.db-1": False}
    body = (await stacks.get()).body
    assert body["state"] == "running"
    assert {item["stack_revision"] for item in body["services"]} == {1}


async def test_an_upgrade_changes_each_service_once_and_removes_last(stacks: StackRest, agent: Agent) -> None:
    await stacks.created(*CHAIN)
    await stacks.finished((await stacks.deploy()).body["id"])
    agent.seen.clear()
    new = document(service("web", image="busybox:2", links=[link("new")]), service("new"), service("db"))
    assert (await stacks.put(new)).status == 200
    assert (await stacks.service("g1/shop/api")).status == 200, "removed services stay until the deploy"
    requested = (await stacks.deploy()).body["id"]
    deploy = await stacks.finished(requested)
    assert deploy["state"] == "success", deploy
    assert [item["service_id"] for item in deploy["service_deploys"]] == ["g1/shop/new", "g1/shop/db", "g1/shop/web"]
    assert (await stacks.service("g1/shop/api")).status == 404
    revs = [item.deploy_rev for item in agent.seen if item.pod.container_name == "shop.web-1"]
    assert len(set(revs)) == 1
    await eventually(lambda: _names(agent, {"shop.web-1", "shop.new-1", "shop.db-1"}))
    unchanged = [item.service_revision for item in agent.assigned.values() if item.pod.container_name == "shop.db-1"]
    assert unchanged == [1], "what did not change is not recreated"


async def _names(agent: Agent, wanted: set[str]) -> bool:
    return {item.pod.container_name for item in agent.assigned.values()} == wanted


async def test_the_first_failure_ends_the_deploy_and_says_why(stacks: StackRest, agent: Agent) -> None:
    def fail_api(assignment: pb.Assignment) -> pb.InstanceStatus | None:
        status = obey(assignment)
        if status is not None and assignment.pod.container_name == "shop.api-1":
            status.error, status.state = "no such image", "missing"
        return status

    agent.behave = fail_api
    await stacks.created(*CHAIN, service("old"))
    await stacks.put(document(*CHAIN))
    deploy = await stacks.finished((await stacks.deploy()).body["id"])
    assert deploy["state"] == "error"
    assert deploy["reason"].startswith("Service api: ")
    assert [item["service_id"] for item in deploy["service_deploys"]] == ["g1/shop/db", "g1/shop/api"]
    failed = deploy["service_deploys"][1]
    assert "no such image" in failed["reason"]
    assert "no such image" in failed["instance_deploys"][0]["error"]
    assert (await stacks.service()).body["state"] == "initialized", "later services are left alone"
    assert (await stacks.service("g1/shop/old")).status == 200, "nothing is removed after a failure"


async def test_a_deploy_that_cannot_be_placed_ends_with_a_reason(engine_url: str) -> None:
    await empty_tables(engine_url, "deploy")
    # No time is given to the lost node to come back.
    async with engine(engine_url, grace_factor=0.0) as world:
        world.node(NODE_1, 1, connected=False)
        stacks = StackRest((await world.start_replica()).channel)
        await stacks.created(service("web"))
        deploy = await stacks.finished((await stacks.deploy()).body["id"])
        assert deploy["state"] == "error"
        assert "no nodes are available" in deploy["reason"]
        [failed] = deploy["service_deploys"]
        assert "no nodes are available" in failed["reason"]
        [instance] = failed["instance_deploys"]
        assert (instance["instance_number"], instance["error"], instance["node"]) == (1, failed["reason"], "(none)")


async def test_another_replica_goes_on(world: Engine) -> None:
    async with world.replica() as first:
        stacks = StackRest(first.channel)
        agent = world.attach(first, NODE_1, behave=ignore)
        await stacks.created(*CHAIN)
        requested = (await stacks.deploy()).body["id"]

        async def begun() -> bool:
            return bool((await stacks.get_deploy(requested)).body["service_deploys"])

        await eventually(begun)
        agent.close()
    second = await world.start_replica()
    world.attach(second, NODE_1, session=2)
    deploy = await StackRest(second.channel).finished(requested)
    assert deploy["state"] == "success", deploy
    assert len(deploy["service_deploys"]) == 3


async def test_two_deploys_at_once_both_end_and_nothing_runs_twice(stacks: StackRest, agent: Agent) -> None:
    await stacks.created(*CHAIN)
    first, second = (await stacks.deploy()).body["id"], (await stacks.deploy()).body["id"]
    for deploy_id in (first, second):
        deploy = await stacks.finished(deploy_id)
        assert deploy["state"] == "success", deploy
    applied = [(item.instance_id, item.deploy_rev) for item in agent.seen]
    assert len(applied) == len(set(applied)) == 6


async def test_a_removal_stops_dependents_first_and_leaves_nothing(stacks: StackRest, agent: Agent) -> None:
    await stacks.created(*CHAIN)
    await stacks.finished((await stacks.deploy()).body["id"])
    agent.seen.clear()
    assert (await stacks.delete()).body == {}

    async def gone() -> bool:
        return (await stacks.get()).status == 404

    await eventually(gone)
    stopped = [item.pod.container_name for item in agent.seen if item.desired_state == "stopped"]
    assert stopped == ["shop.web-1", "shop.api-1", "shop.db-1"]
    await eventually(lambda: _names(agent, set()))


async def test_a_stack_stays_while_somebody_links_to_one_of_its_services(
    world: Engine, stacks: StackRest, agent: Agent
) -> None:
    await stacks.created(*CHAIN)
    spec = ServiceSpec(image="a", stateful=False, links=(Link("shop", "db", "db"),))
    async with world.db.transaction() as tx:
        # As when the link came after the check of the request.
        await service_store.insert(tx, grid_id=GRID, grid="g1", stack="null", name="late", spec=spec)
        stack = await stack_store.find(tx, GRID, "shop", lock=True)
        assert stack is not None
        await stack_store.request_removal(tx, stack)

    table = stack_tables.stacks

    async def left_for_later() -> bool:
        """The loop came to the service that is linked to, and put the rest off."""
        later = table.c.due_at > sa.func.now() + timedelta(seconds=1)
        async with world.db.read() as tx:
            return bool((await tx.execute(sa.select(table.c.id).where(later))).all())

    await eventually(left_for_later)
    assert [item["name"] for item in (await stacks.get()).body["services"]] == ["db"]


async def test_the_exposed_service_is_that_of_the_newest_revision(stacks: StackRest, agent: Agent) -> None:
    """MH-51: it changes with the deploy of the revision, not before."""

    async def exposed() -> set[str]:
        return {item.pod.container_name for item in agent.assigned.values() if item.pod.exposed}

    services = (service("web"), service("db"))
    await stacks.created(*services, expose="web")
    await stacks.finished((await stacks.deploy()).body["id"])
    assert await exposed() == {"shop.web-1"}
    assert (await stacks.put(document(*services, expose="db", version="2"))).status == 200
    assert await exposed() == {"shop.web-1"}
    deploy = await stacks.finished((await stacks.deploy()).body["id"])
    assert deploy["state"] == "success", deploy
    assert await exposed() == {"shop.db-1"}


async def test_a_deploy_ends_when_its_stack_is_removed(stacks: StackRest, agent: Agent) -> None:
    agent.behave = ignore
    await stacks.created(service("web"))
    await stacks.deploy()
    await stacks.delete()
    for call in (stacks.deploy(), stacks.put(document(service("web"), version="2"))):
        refused: Any = await call
        assert refused.status in (404, 422)

    async def gone() -> bool:
        return (await stacks.get()).status == 404

    await eventually(gone)


async def test_a_grid_takes_its_stacks_and_volumes_along(world: Engine, stacks: StackRest) -> None:
    await stacks.created(service("web"))
    await stacks.create_volume({"name": "data", "scope": "grid", "driver": "local"})
    world.around.grids.grids.remove(GRID)

    async def gone() -> bool:
        async with world.db.read() as tx:
            return not await grids.with_data(tx)

    await eventually(gone)


async def test_services_without_links_between_them_are_deployed_and_removed_side_by_side(
    world: Engine, stacks: StackRest, agent: Agent
) -> None:
    """Nothing ends before all have begun; then nothing is gone before all are asked to stop."""
    agent.behave = ignore
    names = [f"s{number}" for number in range(12)]
    await stacks.created(*map(service, names))
    deploy_id = (await stacks.deploy()).body["id"]

    async def assigned(state: str) -> bool:
        found = {item.pod.container_name: item.desired_state for item in agent.assigned.values()}
        return found == {f"shop.{name}-1": state for name in names}

    await eventually(lambda: assigned("running"), message="all begin")
    agent.behave = obey
    await agent.catch_up()
    assert (await stacks.finished(deploy_id))["state"] == "success"
    agent.behave = ignore
    await stacks.delete()
    await eventually(lambda: assigned("stopped"), message="all are asked to stop")
    agent.behave = obey
    await agent.catch_up()
    await eventually(lambda: _names(agent, set()))
    await eventually(lambda: _gone(stacks), message="the stack is gone")


async def _gone(stacks: StackRest) -> bool:
    return (await stacks.get()).status == 404
