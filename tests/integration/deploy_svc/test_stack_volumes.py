"""Volumes over REST, and how services mount them (docs/spec/deploy_rest.md sections 4.4 and 11)."""

from typing import Any

import pytest
import sqlalchemy as sa

from kontena.deploy.v1 import node_command_pb2 as command_pb
from services.deploy_svc.domain import pod
from services.deploy_svc.domain.pod import PodVolume
from services.deploy_svc.loops import volume_removals as removal_loop
from services.deploy_svc.store import services as service_store
from services.deploy_svc.store import stack_tables, volume_removals
from services.deploy_svc.store import volumes as volume_store
from services.kernel.db import Database
from tests.integration.deploy_svc.container_agents import Reply, command_agent, failed, result
from tests.integration.deploy_svc.rest import Rest
from tests.integration.deploy_svc.stack_rest import StackRest, document, service
from tests.integration.deploy_svc.stand_ins import GRID, NODE_1, Neighbours
from tests.support.eventually import eventually
from tests.support.running import Running

DATA = {"name": "data", "scope": "grid", "driver": "local"}


@pytest.fixture
def stacks(deploy: Running) -> StackRest:
    return StackRest(deploy.channel)


async def test_a_volume_is_made_shown_and_removed(stacks: StackRest, deploy_neighbours: Neighbours) -> None:
    made = await stacks.create_volume({**DATA, "driver_opts": {"a.b": 1, "c": None, "d": True}})
    assert made.status == 201
    assert {name: made.body[name] for name in ("id", "name", "scope", "driver")} == {"id": "g1/data", **DATA}
    assert (made.body["driver_opts"], made.body["instances"], made.body["services"]) == (
        {"a.b": "1", "d": "true"},
        [],
        [],
    )
    assert {"created_at", "updated_at"} <= set(made.body)
    assert (await stacks.volume()).body == made.body
    assert (await stacks.volume_list()).body == {"volumes": [made.body]}
    assert (await stacks.delete_volume()).body == {}
    assert (await stacks.volume()).status == 404

    async def audited() -> bool:
        return deploy_neighbours.audit.seen() == [("create", "data"), ("delete", "data")]

    await eventually(audited)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, {"name": "Name is required", "scope": "Scope is required", "driver": "Driver is required"}),
        ({**DATA, "scope": "node"}, {"scope": "Scope isn't an option"}),
        ({**DATA, "driver": "a:b"}, {"driver": "Driver isn't in the right format"}),
        ({**DATA, "driver": None}, {"driver": "Driver can't be nil"}),
        ({**DATA, "driver_opts": [1]}, {"driver_opts": "Driver Opts isn't a hash"}),
        ({**DATA, "name": "-"}, {"name": "Name isn't in the right format"}),
    ],
)
async def test_wrong_volumes_are_refused(stacks: StackRest, body: dict[str, Any], error: dict[str, str]) -> None:
    answer = await stacks.create_volume(body)
    assert (answer.status, answer.body) == (422, {"error": error})
    assert (await stacks.volume_list()).body == {"volumes": []}


async def test_a_name_is_taken_once_and_unknown_ones_are_not_found(stacks: StackRest) -> None:
    await stacks.create_volume(DATA)
    assert (await stacks.create_volume(DATA)).body == {"error": {"name": "Volume with this name already exists"}}
    for call in (stacks.volume("g1/gone"), stacks.delete_volume("g1/gone")):
        answer = await call
        assert (answer.status, answer.body) == (404, {"error": "Volume gone not found"})
    assert (await stacks.volume_list("nowhere")).body == {"error": "Grid nowhere not found"}
    assert (await stacks.volume_list("g2")).status == 403


async def test_a_volume_in_use_stays(stacks: StackRest, rest: Rest) -> None:
    await stacks.create_volume(DATA)
    await rest.created("app", volumes=["data:/data:ro"])
    refused = await stacks.delete_volume()
    assert (refused.status, refused.body) == (422, {"error": {"data": "Volume is used by: g1/null/app"}})
    assert (await stacks.volume()).body["services"] == [{"id": "g1/null/app"}]
    assert (await rest.put({"volumes": []}, "g1/null/app")).status == 200
    assert (await stacks.delete_volume()).status == 200


async def test_services_mount_only_what_exists(stacks: StackRest, rest: Rest) -> None:
    refused = await rest.create(service("app", volumes=["data:/data", "/ok"]))
    assert (refused.status, refused.body) == (422, {"error": {"volumes": ["Volume data does not exist"]}})
    await stacks.create_volume(DATA)
    made = await rest.created("app", volumes=["data:/data", "/ok"])
    assert made["volumes"] == ["data:/data", "/ok"]
    assert (await rest.put({"volumes": ["gone:/x"]}, "g1/null/app")).status == 422


async def test_names_of_a_stack_mean_volumes_of_the_grid(stacks: StackRest, rest: Rest, deploy_db: Database) -> None:
    for scope in ("instance", "stack", "grid"):
        await stacks.create_volume({"name": f"v-{scope}", "scope": scope, "driver": "nfs", "driver_opts": {"o": "1"}})
    volumes = [{"name": f"{scope}s", "external": f"v-{scope}"} for scope in ("instance", "stack")]
    mounts = ["instances:/i", "stacks:/s:ro", "v-grid:/g", "/anonymous", "/host:/h"]
    await stacks.created(service("web", volumes=mounts), volumes=[*volumes, {"name": "v-grid", "external": True}])
    async with deploy_db.read() as tx:
        web = await service_store.find(tx, GRID, "shop", "web")
    assert web is not None
    built = pod.build(web, 2, "n1").volumes
    own: dict[str, Any] = {"driver": "nfs", "driver_opts": {"o": "1"}}
    assert built == (
        PodVolume("/i", name="shop.web.v-instance-2", **own),
        PodVolume("/s", name="shop.v-stack", flags="ro", **own),
        PodVolume("/g", name="v-grid", **own),
        PodVolume("/anonymous"),
        PodVolume("/h", bind_mount="/host"),
    )
    # A change of the service alone goes on using the names of the stack.
    assert (await rest.put({"volumes": ["instances:/other"]}, "g1/shop/web")).status == 200
    assert (await stacks.delete_volume("g1/v-instance")).status == 422
    assert (await stacks.delete_volume("g1/v-stack")).status == 200


async def test_a_stack_without_the_name_is_refused(stacks: StackRest) -> None:
    await stacks.create_volume(DATA)
    refused = await stacks.create(document(service("web", volumes=["data:/data"])))
    assert refused.body == {"error": {"services": {"web": {"volumes": ["Volume data does not exist"]}}}}


async def test_where_a_volume_exists_is_shown(stacks: StackRest, deploy_db: Database) -> None:
    await stacks.create_volume(DATA)
    async with deploy_db.transaction() as tx:
        volume_id = (await tx.execute(sa.select(stack_tables.volumes.c.id))).scalar_one()
        row = {"volume_id": volume_id, "node_id": "1" * 24, "node": "n1", "name": "data"}
        await volume_store.record_instances(tx, [row, row, {**row, "volume_id": "gone"}])
        await volume_store.record_instances(tx, [row])
    assert (await stacks.volume()).body["instances"] == [{"node": "n1", "name": "data"}]


def removing(answers: dict[str, command_pb.NodeCommandEvent]) -> Reply:
    """A node that answers the removal of a volume by its name, once; any other is done."""

    def reply(order: command_pb.NodeCommand) -> list[command_pb.NodeCommandEvent]:
        return [answers.pop(order.remove_volume.name, result("{}"))] if order.HasField("remove_volume") else []

    return reply


async def _held(db: Database, node_id: str, *names: str) -> None:
    async with db.transaction() as tx:
        volume_id = (await tx.execute(sa.select(stack_tables.volumes.c.id))).scalar_one()
        rows = [{"volume_id": volume_id, "node_id": node_id, "node": "n1", "name": name} for name in names]
        await volume_store.record_instances(tx, rows)


async def _left(db: Database) -> set[str]:
    async with db.read() as tx:
        return set((await tx.execute(sa.select(stack_tables.volume_removals.c.name))).scalars())


async def test_nodes_remove_what_a_deleted_volume_leaves(
    stacks: StackRest, deploy: Running, deploy_db: Database, deploy_neighbours: Neighbours
) -> None:
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1)
    busy = failed("refused", "volume is in use")
    async with command_agent(deploy.channel, removing({"web.data-2": busy})) as agent:
        await stacks.create_volume({**DATA, "scope": "instance"})
        await _held(deploy_db, NODE_1, "web.data-1", "web.data-2")
        await _held(deploy_db, "9" * 24, "elsewhere")
        assert (await stacks.delete_volume()).status == 200

        async def asked() -> bool:
            names = [order.remove_volume.name for order in agent.orders]
            return sorted(names) == ["web.data-1", "web.data-2"] and await _left(deploy_db) == {"web.data-2"}

        await eventually(asked, message="done, done because the node is no more, and refused for now")


async def test_a_node_that_hangs_holds_up_no_removal(
    stacks: StackRest,
    deploy: Running,
    deploy_db: Database,
    deploy_neighbours: Neighbours,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor would one that waits behind it be sent after its volume has come back."""
    # How long the node is given.
    monkeypatch.setattr(removal_loop, "_SECONDS", 3600.0)
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1)

    def hangs(order: command_pb.NodeCommand) -> list[command_pb.NodeCommandEvent]:
        return [] if order.remove_volume.name in ("", "a") else [result("{}")]

    async with command_agent(deploy.channel, hangs):
        await stacks.create_volume(DATA)
        await _held(deploy_db, NODE_1, *"abc")
        assert (await stacks.delete_volume()).status == 200

        async def others_removed() -> bool:
            return await _left(deploy_db) == {"a"}

        await eventually(others_removed, message="before the node is given up")


async def test_what_was_queued_since_is_not_taken_for_done(
    stacks: StackRest, deploy_db: Database, deploy_neighbours: Neighbours
) -> None:
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1)
    await stacks.create_volume(DATA)
    await _held(deploy_db, NODE_1, "data")
    await stacks.delete_volume()
    async with deploy_db.transaction() as tx:
        await tx.execute(stack_tables.volume_removals.update().values(due_at=sa.func.now()))
        (claimed,) = await volume_removals.claim(tx, 5)
        assert await volume_removals.claim(tx, 5) == []
    await stacks.create_volume(DATA)
    await _held(deploy_db, NODE_1, "data")
    await stacks.delete_volume()
    async with deploy_db.transaction() as tx:
        await volume_removals.done(tx, claimed)
    assert await _left(deploy_db) == {"data"}


async def test_a_volume_of_the_same_name_keeps_what_is_there(
    stacks: StackRest, deploy_db: Database, deploy_neighbours: Neighbours
) -> None:
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1)
    await stacks.create_volume(DATA)
    await _held(deploy_db, NODE_1, "data", "other")
    await stacks.delete_volume()
    await stacks.create_volume(DATA)
    await _held(deploy_db, NODE_1, "data")
    assert await _left(deploy_db) == {"other"}
