"""Members and the nodes of their grid: nobody but admins reaches past a container where the grid says so."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from google.protobuf.struct_pb2 import Value

from kontena.deploy.v1 import container_pb2 as pb
from kontena.deploy.v1 import grid_config_pb2 as config_pb
from kontena.deploy.v1.grid_config_pb2_grpc import GridConfigServiceStub
from services.deploy_svc.store import services as service_store
from services.deploy_svc.usecases import node_commands
from services.kernel.db import Database
from tests.integration.deploy_svc.agents import placed
from tests.integration.deploy_svc.container_agents import ContainerRest, container, container_pusher
from tests.integration.deploy_svc.rest import Answer, Rest, answer
from tests.integration.deploy_svc.stack_rest import StackRest, document, service
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1, Neighbours
from tests.support.eventually import eventually
from tests.support.running import Running

AsUser = Callable[[str | None], Rest]
BIND = {"name": "data", "scope": "grid", "driver": "local", "driver_opts": {"type": "none", "o": "bind", "device": "/"}}
_WAITING = sa.text("select count(*) from pg_locks where not granted")
REACHING: list[dict[str, Any]] = [
    {"privileged": True},
    {"net": "host"},
    {"pid": "host", "cap_add": ["SYS_PTRACE"]},
    {"devices": ["/dev/mem"]},
    {"volumes": ["/:/host"]},
    {"volumes_from": ["admins-%s"]},
]


@pytest.fixture
async def admins(deploy_neighbours: Neighbours, rest_as: AsUser) -> AsyncIterator[Rest]:
    """The grid is told to keep its nodes to admins, as long as the test runs. Gives one of them."""
    member, admin = rest_as("member"), rest_as("grid-admin")

    async def answers(status: int) -> bool:
        await admin.delete("g1/null/probe")
        made = await member.create({"name": "probe", "image": "i", "stateful": False, "net": "host"})
        return made.status == status

    deploy_neighbours.grids.put_grid(GRID, "g1", host_access="admins")
    await eventually(lambda: answers(403))
    yield admin
    deploy_neighbours.grids.put_grid(GRID, "g1")
    await eventually(lambda: answers(201))


def refused(answer: Answer, *attributes: str) -> bool:
    """A 403 that says which attributes are the matter, and which setting."""
    text = str(answer.body.get("error"))
    return (
        answer.status == 403
        and all(attribute in text for attribute in attributes)
        and "host_access of grid g1 is admins" in text
    )


@pytest.mark.parametrize("attributes", REACHING, ids="+".join)
async def test_a_member_can_give_no_service_what_reaches_the_node(
    admins: Rest, rest: Rest, deploy: Running, attributes: dict[str, Any]
) -> None:
    stacks = StackRest(deploy.channel)
    await rest.created("plain")
    hostile = document(service("web", **attributes))
    tries = [
        await rest.create({"name": "web", "image": "i", "stateful": False, **attributes}),
        await rest.put(attributes, "g1/null/plain"),
        await stacks.create(hostile),
        await stacks.plan_new(hostile),
    ]
    assert [refused(answer, *attributes) for answer in tries] == [True] * 4, tries
    await stacks.created(service("web"))
    tries = [await stacks.put(hostile), await stacks.plan(hostile)]
    assert [refused(answer, *attributes) for answer in tries] == [True] * 2, tries
    assert (await admins.put(attributes, "g1/null/plain")).status == 200


async def test_a_member_can_do_nothing_to_a_service_that_reaches_the_node(
    admins: Rest, rest: Rest, deploy: Running
) -> None:
    await admins.created(privileged=True)
    stacks, theirs = StackRest(deploy.channel), StackRest(deploy.channel, "grid-admin")
    await theirs.created(service("web", net="host"), service("db"))
    own: list[Awaitable[Answer]] = [
        rest.put({"image": "evil:1"}),
        rest.put({"privileged": False}),
        rest.deploy(),
        rest.delete(),
        rest.scale(2),
        rest.start(),
        rest.stop(),
        rest.restart(),
        rest.add_env("LD_PRELOAD=/x.so"),
        rest.remove_env("A"),
    ]
    of_stack: list[Awaitable[Answer]] = [
        # Also with a document that asks for nothing.
        stacks.put(document(service("web", image="evil:1"), service("db"))),
        stacks.put(document(service("db"))),
        stacks.deploy(),
        stacks.stop(),
        stacks.restart(),
        stacks.delete(),
    ]
    assert all([refused(await answer, "privileged") for answer in own])
    assert all([refused(await answer, "net (host)") for answer in of_stack])
    # What reaches no node is theirs as before, in the same stack too, and everybody sees everything.
    assert (await rest.put({"image": "busybox:2"}, "g1/shop/db")).status == 200
    assert (await rest.get()).body["image"] == "busybox:1"
    assert (await theirs.deploy()).status == 200


async def test_a_member_writes_no_config_that_a_service_finds_that_reaches_the_node(
    admins: Rest, rest: Rest, deploy: Running
) -> None:
    """It would run with what the member wrote."""
    configs = GridConfigServiceStub(deploy.channel)

    async def put(user: str, name: str) -> Answer:
        request = config_pb.UpdateGridConfigRequest(id=f"g1/{name}", content=user, upsert=Value(bool_value=True))
        return await answer(configs.UpdateGridConfig(request, metadata=(("authorization", f"bearer {user}"),)))

    for name in ("start.sh", "plain"):
        assert (await put("grid-admin", name)).status == 201
    await admins.created(privileged=True, configs=[{"config": "start.sh", "path": "/start.sh"}])
    assert refused(await put("member", "start.sh"), "privileged", "service web")
    assert (await rest.get()).body["revision"] == 1
    assert (await put("member", "plain")).status == 200
    assert (await put("grid-admin", "start.sh")).status == 200
    assert (await admins.put({"privileged": False})).status == 200
    assert (await put("member", "start.sh")).status == 200


async def test_a_service_that_an_admin_gave_the_node_a_moment_ago_is_not_changed(
    admins: Rest, rest: Rest, deploy_db: Database
) -> None:
    """The check is made under the lock: whoever looked before the admin's change is refused after it."""
    await rest.created()
    async with deploy_db.transaction() as tx:
        found = await service_store.find(tx, GRID, "null", "web")
        assert found is not None
        assert await service_store.find_by_id(tx, found.id, lock=True)
        change = asyncio.create_task(rest.put({"image": "evil:1"}))

        async def looked() -> bool:
            """The change has looked at the service, and waits for its turn."""
            async with deploy_db.read() as other:
                return bool((await other.execute(_WAITING)).scalar_one())

        await eventually(looked)
        await service_store.update(tx, found.id, replace(found.spec, privileged=True), bump=True)
    assert refused(await change, "privileged")


async def test_a_member_neither_makes_nor_mounts_a_volume_that_shows_the_node(
    admins: Rest, rest: Rest, deploy: Running
) -> None:
    stacks, theirs = StackRest(deploy.channel), StackRest(deploy.channel, "grid-admin")
    assert refused(await stacks.create_volume(BIND), "driver_opts")
    assert (await theirs.create_volume(BIND)).status == 201
    mount = {"name": "web", "image": "i", "stateful": False, "volumes": ["data:/host"]}
    assert refused(await rest.create(mount), "volumes (data)")
    hostile = document(service("web", volumes=["x:/host"]), volumes=[{"name": "x", "external": "data"}])
    assert refused(await stacks.create(hostile), "volumes (x)")
    assert refused(await stacks.delete_volume(), "driver_opts")
    assert (await admins.create(mount)).status == 201


async def test_a_member_enters_containers_of_plain_services_only(
    admins: Rest,
    rest: Rest,
    deploy: Running,
    deploy_db: Database,
    deploy_neighbours: Neighbours,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_commands, "_MOVING_SECONDS", 0.2)
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1)
    await rest.created("plain")
    await admins.created("strong", privileged=True)
    async with deploy_db.read() as tx:
        found = {service.name: service.id for service in await service_store.of_grid(tx, GRID)}
    for service_id in found.values():
        await placed(deploy_db, service_id, NODE_1)
    async with container_pusher(deploy.channel) as pusher:
        await pusher.snapshot(
            container("plain-1", found["plain"]), container("strong-1", found["strong"]), container("stray", "")
        )
    member, admin = ContainerRest(deploy.channel), ContainerRest(deploy.channel, "grid-admin")

    async def run(caller: ContainerRest, name: str) -> Answer:
        return await caller.body("ExecContainer", pb.ExecContainerRequest(id=f"g1/node-a/{name}", cmd=["id"]))

    async def reported() -> bool:
        return (await run(admin, "stray")).status == 503

    await eventually(reported)
    assert refused(await run(member, "strong-1"), "privileged")
    assert refused(await run(member, "stray"), "no service")
    # Nobody is attached who would carry it out.
    assert [(await run(member, "plain-1")).status, (await run(admin, "strong-1")).status] == [503, 503]


async def test_grids_from_before_let_members_do_what_they_did(rest: Rest) -> None:
    await rest.created(privileged=True, net="host", volumes=["/:/host"])
    assert (await rest.deploy()).status == 200


async def test_a_member_does_not_go_back_to_what_reached_the_node(admins: Rest, rest: Rest, deploy: Running) -> None:
    stacks = StackRest(deploy.channel)
    own = StackRest(deploy.channel, "grid-admin")
    await admins.created("web", net="host")
    await admins.put({"net": "bridge"})
    assert refused(await rest.rollback(1), "net")
    assert (await rest.rollback(2)).status == 200
    await own.created(service("web", net="host"))
    await own.put(document(service("web"), version="2"))
    await own.deploy()
    assert refused(await stacks.rollback(1), "net")
    assert (await stacks.rollback(2)).status == 200
