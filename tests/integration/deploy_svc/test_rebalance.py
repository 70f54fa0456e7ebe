"""Services that lie unevenly on their nodes: asked, moved, told. Real replicas, scripted nodes."""

from typing import Any

from services.deploy_svc.store import tables
from tests.integration.deploy_svc.engine_fixtures import Engine, audited, ignore
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stand_ins import NODE_1, NODE_2
from tests.support.eventually import eventually


async def crowded(world: Engine, *names: str, **body: Any) -> Rest:
    """Services whose instances are all on n1, as n2 took none when they came."""
    world.node(NODE_2, 2, availability="drain")
    replica = await world.start_replica()
    for node in (NODE_1, NODE_2):
        world.attach(replica, node)
    rest = Rest(replica.channel, "member")
    for name in names:
        await rest.created(name, strategy="random", instances=2, **body)
        deploy = await deployed(rest, (await rest.deploy(f"g1/null/{name}")).body)
        assert {item["node"] for item in deploy["instance_deploys"]} == {"n1"}
    world.node(NODE_2, 2)
    return rest


async def planned(rest: Rest) -> dict[str, Any]:
    """The plan for the service, once it is known that n2 takes some."""

    async def found() -> Any:
        answer = (await rest.rebalance(plan=True)).body
        return answer if answer["moves"] else None

    answer: dict[str, Any] = await eventually(found)
    return answer


async def deployed(rest: Rest, deploy: dict[str, Any]) -> dict[str, Any]:
    async def ended() -> Any:
        found = (await rest.get_deploy(deploy["id"], deploy["service_id"])).body
        return found if "finished_at" in found else None

    found: dict[str, Any] = await eventually(ended)
    assert found["state"] == "success", found
    return found


async def test_a_rebalance_moves_what_its_plan_says_and_then_nothing(world: Engine) -> None:
    rest = await crowded(world, "web")
    plan = await planned(rest)
    assert plan["moves"] == [{"instance_number": 2, "current_node": "n1", "node": "n2"}]
    assert ("deploy" in plan, "reason" in plan) == (False, False)
    begun = (await rest.rebalance()).body
    assert begun["moves"] == plan["moves"]
    done = await deployed(rest, begun["deploy"])
    assert [(item["instance_number"], item["node"]) for item in done["instance_deploys"]] == [(2, "n2")]
    assert (done["origin"], done["asked_by"], done["instance_count"]) == ("rebalance", "member@example.test", 1)
    again = (await rest.rebalance()).body
    assert (again["moves"], "deploy" in again, "reason" in again) == ([], False, False)
    assert [item["origin"] for item in (await rest.deploys()).body["deploys"]] == ["rebalance", "deploy"]
    assert [event.event_name for event in await audited(world, 3)] == ["create", "deploy", "rebalance"]
    assert (await rest.rebalance("g1/null/other")).status == 404


async def test_nothing_moves_while_something_else_is_to_be_done_first(world: Engine) -> None:
    rest = await crowded(world, "web")
    await planned(rest)
    table = tables.instances
    async with world.db.transaction() as tx:
        await tx.execute(table.update().values(service_revision=table.c.service_revision - 1))
    answer = (await rest.rebalance()).body
    assert (answer["moves"], "does not run everywhere yet" in answer["reason"]) == ([], True)
    for agent in world.agents:
        agent.behave = ignore
    await rest.deploy()
    answer = (await rest.rebalance()).body
    assert (answer["moves"], "A deploy of the service is under way" in answer["reason"]) == ([], True)
    await rest.stop()
    answer = (await rest.rebalance()).body
    assert (answer["moves"], "The service is stopped" in answer["reason"]) == ([], True)


async def test_a_grid_is_rebalanced_service_by_service(world: Engine) -> None:
    rest = await crowded(world, "web", "api")
    await planned(rest)
    await rest.created("even")
    services = (await rest.rebalance_grid(plan=True)).body["services"]
    assert [one["service_id"] for one in services] == ["g1/null/api", "g1/null/web"]
    for one in (await rest.rebalance_grid()).body["services"]:
        await deployed(rest, one["deploy"])
    assert (await rest.rebalance_grid()).body["services"] == []


async def test_data_stays_and_the_answer_says_so(world: Engine) -> None:
    rest = await crowded(world, "web", stateful=True)
    answer = (await rest.rebalance()).body
    assert (answer["moves"], answer["reason"]) == ([], "The instances are stateful: each stays where its data is")
