"""The deploys of services and stacks, newest first, and canceling them in each phase: real replicas, scripted nodes."""

import asyncio
import json
from typing import Any

import pytest
import sqlalchemy as sa

from kontena.deploy.v1 import assignment_pb2 as pb
from services.deploy_svc.domain.service_deploy import Asked
from services.deploy_svc.store import service_deploys, tables
from services.deploy_svc.usecases import deploy_following
from tests.integration.deploy_svc.engine_fixtures import Agent, Engine, audited, ignore, obey
from tests.integration.deploy_svc.http_world import Http, HttpWorld
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stack_rest import StackRest, link, service
from tests.integration.deploy_svc.stand_ins import NODE_1, NODE_2
from tests.support.eventually import eventually


@pytest.fixture(autouse=True)
def _followers_look_when_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing else wakes them here: a change that nobody tells keeps a test waiting until it fails.
    monkeypatch.setattr(deploy_following, "_POLL_SECONDS", 3600.0)


async def test_deploys_are_told_with_who_asked_from_where_and_why_they_ended(world: Engine) -> None:
    first = await world.start_replica()
    world.attach(first, NODE_1)
    world.attach(first, NODE_2)
    rest = Rest(first.channel, "member")
    await rest.created()
    made = [(await rest.deploy()).body["id"], (await rest.scale(2)).body["id"]]
    await eventually(lambda: ended(rest, made[-1]))
    # Another process of the control plane tells the same.
    async with world.replica() as second:
        answer = await Rest(second.channel, "viewer").deploys()
    found = answer.body["deploys"]
    assert [item["id"] for item in found] == made[::-1]
    assert [(item["origin"], item["asked_by"]) for item in found] == [
        ("scale", "member@example.test"),
        ("deploy", "member@example.test"),
    ]
    assert all(item["state"] == "success" and item["seconds"] >= 0 and not item["instance_deploys"] for item in found)
    assert (await rest.deploys(limit=1)).body["next"]
    assert (await rest.deploys("g1/null/nothing")).status == 404


async def test_a_changed_secret_is_named_as_the_origin(world: Engine) -> None:
    replica = await world.start_replica()
    rest = Rest(replica.channel, "member")
    await rest.created()
    async with world.db.transaction() as tx:
        service_id = (await tx.execute(sa.select(tables.services.c.id))).scalar_one()
        await service_deploys.insert(tx, service_id, Asked("secret", name="PASSWORD"))
    (deploy,) = (await rest.deploys()).body["deploys"]
    assert (deploy["origin"], deploy["origin_name"], "asked_by" in deploy) == ("secret", "PASSWORD", False)


async def test_a_deploy_in_the_queue_is_canceled_alone(world: Engine) -> None:
    replica = await world.start_replica()
    agents = [world.attach(replica, node, behave=ignore) for node in (NODE_1, NODE_2)]
    rest = Rest(replica.channel, "member")
    await rest.created(instances=2)
    going, waiting = (await rest.deploy()).body["id"], (await rest.deploy()).body["id"]
    await eventually(lambda: assigned(agents, 2))
    canceled = (await rest.cancel(waiting)).body
    assert (canceled["state"], canceled["finished_at"]) == ("error", canceled["canceled_at"])
    assert canceled["reason"] == "Canceled by member@example.test before it began: nothing was changed"
    assert (await rest.cancel(waiting)).body == canceled
    assert (await rest.get_deploy(going)).body["state"] == "ongoing"
    # While the nodes pull: nothing of it runs yet, so the service is as it was made.
    reason = (await rest.cancel(going)).body["reason"]
    assert reason == "Canceled by member@example.test. Instances: 1 to 2 gone, as they did not run yet"
    await eventually(lambda: assigned(agents, 0))
    assert (await rest.get()).body["state"] == "initialized"
    assert [event.event_name for event in await audited(world, 5)][-2:] == ["cancel_deploy", "cancel_deploy"]


async def test_an_instance_that_was_to_be_replaced_gets_its_old_assignment_back(world: Engine) -> None:
    replica = await world.start_replica()
    agents = [world.attach(replica, node) for node in (NODE_1, NODE_2)]
    rest = Rest(replica.channel, "member")
    await rest.created(instances=2)
    first = (await rest.deploy()).body["id"]
    await eventually(lambda: ended(rest, first))
    before = images(agents)
    for agent in agents:
        agent.behave = ignore
    await rest.put({"image": "busybox:2"})
    deploy_id = (await rest.deploy()).body["id"]
    await eventually(lambda: some(agents, "busybox:2"))
    answer = await rest.cancel(deploy_id)
    assert "1 as before; 2 not begun" in answer.body["reason"]
    assert [item["error"] for item in answer.body["instance_deploys"]] == ["canceled: the instance stays as it was"]

    async def back() -> bool:
        return images(agents) == before

    await eventually(back)
    # What the user asked for is still asked for, and comes with the next deploy.
    assert (await rest.get()).body["image"] == "busybox:2"
    for agent in agents:
        agent.behave = obey
        await agent.catch_up()
    deploy_id = (await rest.deploy()).body["id"]
    await eventually(lambda: ended(rest, deploy_id))
    assert {image for image, _ in images(agents).values()} == {"busybox:2"}


async def test_what_has_ended_cannot_be_canceled(world: Engine) -> None:
    replica = await world.start_replica()
    world.attach(replica, NODE_1)
    world.attach(replica, NODE_2)
    rest = Rest(replica.channel, "member")
    await rest.created()
    deploy_id = (await rest.deploy()).body["id"]
    await eventually(lambda: ended(rest, deploy_id))
    refused = await rest.cancel(deploy_id)
    assert (refused.status, refused.body) == (
        422,
        {"error": {"deploy": f"The deploy {deploy_id} has ended already, in success"}},
    )
    assert (await rest.cancel("f" * 24)).status == 404
    assert (await rest.cancel("é")).status == 404
    assert (await Rest(replica.channel, "viewer").cancel(deploy_id)).status == 403


async def test_a_stack_deploy_is_canceled_with_what_is_under_way(world: Engine) -> None:
    replica = await world.start_replica()
    agents = [world.attach(replica, node, behave=ignore) for node in (NODE_1, NODE_2)]
    stacks = StackRest(replica.channel)
    await stacks.created(service("web", links=[link("db")]), service("db"))
    deploy_id = (await stacks.deploy()).body["id"]
    await eventually(lambda: assigned(agents, 1))
    canceled = (await stacks.cancel(deploy_id)).body
    assert canceled["state"] == "error"
    assert canceled["reason"] == "Canceled by member@example.test. Services: db canceled; web not begun"
    (own,) = canceled["service_deploys"]
    assert (own["service_id"], own["origin"], own["origin_name"]) == ("g1/shop/db", "stack", deploy_id)
    assert own["canceled_at"]
    await eventually(lambda: assigned(agents, 0))
    assert (await stacks.cancel(deploy_id)).body == canceled
    (told,) = (await stacks.deploys()).body["deploys"]
    assert (told["id"], told["origin"], told["asked_by"]) == (deploy_id, "deploy", "member@example.test")
    assert told["service_deploys"] == []


async def test_the_newest_deploys_of_each_stack_are_kept(world: Engine) -> None:
    replica = await world.start_replica()
    stacks = StackRest(replica.channel)
    await stacks.created(service("web"))
    ids = []
    for _ in range(3):
        ids.append((await stacks.deploy()).body["id"])
        await stacks.cancel(ids[-1])
    async with world.db.transaction() as tx:
        await service_deploys.trim(tx, 2)
    assert [item["id"] for item in (await stacks.deploys()).body["deploys"]] == ids[:0:-1]


async def test_a_follower_is_told_each_step_and_the_end(edge: HttpWorld, http: Http) -> None:
    body = {"name": "web", "image": "x", "stateful": False}
    await http.call("POST", "/v1/grids/g1/services", body, 201)
    deploy = await http.call("POST", "/v1/services/g1/null/web/deploy?follow=0", {})
    path = f"/v1/services/g1/null/web/deploys/{deploy['id']}"
    lines: list[Any] = []
    async with asyncio.timeout(30), http.client.stream("GET", f"{path}/follow") as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
        async for line in answer.aiter_lines():
            if not line:
                # The grid has no node: somebody ends it, or it ends with that by itself.
                await http.send("POST", f"{path}/cancel", {})
            else:
                lines.append(json.loads(line))
    assert lines[0] == {"deploy_id": deploy["id"], "step": "queued", "state": "created", "service": "g1/null/web"}
    assert (lines[-1]["step"], lines[-1]["state"]) == ("finished", "error")
    assert lines[-1]["reason"]
    assert (await http.refused("GET", path.replace(deploy["id"], "f" * 24) + "/follow"))[0] == 404


async def test_a_deploy_can_be_followed_in_its_own_answer(edge: HttpWorld, http: Http) -> None:
    path = "/v1/services/g1/null/web"
    await http.call("POST", "/v1/grids/g1/services", {"name": "web", "image": "x", "stateful": False}, 201)
    assert (await http.refused("POST", "/v1/services/g1/null/other/deploy?follow=1", {}))[0] == 404
    key = {"Idempotency-Key": "once"}
    ids = []
    for _ in range(2):
        async with asyncio.timeout(30), http.client.stream("POST", f"{path}/deploy?follow=1", headers=key) as answer:
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
            ids.append(json.loads(await anext(answer.aiter_lines()))["deploy_id"])
    # Whoever leaves leaves the deploy alone, and the same key is the same deploy.
    (found,) = (await http.call("GET", f"{path}/deploys"))["deploys"]
    assert (ids, "canceled_at" in found) == ([found["id"]] * 2, False)
    again = http.client.stream("POST", f"{path}/deploy?x=1&follow=true")
    async with asyncio.timeout(30), edge.node(), again as answer:
        lines = [json.loads(line) async for line in answer.aiter_lines() if line]
    told = [(line["step"], line["state"], line.get("instance"), line.get("node")) for line in lines]
    assert told[0] == ("queued", "created", None, None)
    assert told[-2:] == [("instance", "success", 1, "node-1"), ("finished", "success", None, None)]


async def test_who_follows_a_deploy_hears_that_it_was_removed(edge: HttpWorld, http: Http) -> None:
    await http.call("POST", "/v1/grids/g1/services", {"name": "web", "image": "x", "stateful": False}, 201)
    path = "/v1/services/g1/null/web"
    async with asyncio.timeout(30), http.client.stream("POST", f"{path}/deploy?follow=1") as answer:
        lines = answer.aiter_lines()
        first = json.loads(await anext(lines))
        await http.call("DELETE", path)
        last = [json.loads(line) async for line in lines if line][-1]
    assert first["deploy_id"] == last["deploy_id"]
    assert (last["step"], last["state"], bool(last["reason"])) == ("finished", "error", True)


async def test_followers_of_stacks_hear_of_their_services(world: Engine) -> None:
    replica = await world.start_replica()
    for node in (NODE_1, NODE_2):
        world.attach(replica, node)
    stacks = StackRest(replica.channel)
    await stacks.created(service("web", links=[link("db")]), service("db"))
    lines = await stacks.follow((await stacks.deploy()).body["id"])
    told = [(line.get("service"), line["step"], line["state"]) for line in lines]
    assert told[0] == (None, "queued", "created")
    assert told[-1] == (None, "finished", "success")
    ends = [service for service, step, state in told if (step, state) == ("finished", "success")]
    assert ends == ["g1/shop/db", "g1/shop/web", None]
    placed = [line for line in lines if line["step"] == "instance" and line["state"] == "success"]
    assert {(line["instance"], line["node"] in {"n1", "n2"}) for line in placed} == {(1, True)}


async def ended(rest: Rest, deploy_id: str) -> bool:
    return "finished_at" in (await rest.get_deploy(deploy_id)).body


async def assigned(agents: list[Agent], count: int) -> bool:
    return sum(len(agent.assigned) for agent in agents) == count


async def some(agents: list[Agent], image: str) -> bool:
    return any(found == image for found, _ in images(agents).values())


def images(agents: list[Agent]) -> dict[str, tuple[str, str]]:
    """Image and rollout by instance."""
    found: list[pb.Assignment] = [item for agent in agents for item in agent.assigned.values()]
    return {item.instance_id: (item.pod.image, item.deploy_rev) for item in found}
