"""Inspect, top and exec reach the node of a container, whichever replica holds its stream."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest

from kontena.deploy.v1 import container_pb2 as pb
from kontena.deploy.v1 import node_command_pb2 as command_pb
from services.deploy_svc import app
from services.deploy_svc.settings import Settings
from services.deploy_svc.store import command_routes
from services.deploy_svc.usecases import node_commands
from services.kernel.db import Database
from tests.integration.deploy_svc.container_agents import (
    CommandAgent,
    ContainerRest,
    command_agent,
    container,
    container_pusher,
    exited,
    failed,
    output,
    result,
)
from tests.integration.deploy_svc.rest import Answer
from tests.integration.deploy_svc.stand_ins import NODE_1, Neighbours
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.running import Running, running

PATH = "g1/node-a/web-1"


def reply(order: command_pb.NodeCommand) -> Sequence[command_pb.NodeCommandEvent]:
    """A node with one container; `cmd` tells what the exec does."""
    match order.WhichOneof("message"):
        case "inspect":
            return [result('{"Id": "c1"}')]
        case "top":
            return [result('[{"PID": "1"}]')]
        case "exec":
            return {
                "talk": [output("a"), output("b", "stderr"), output("\u00e9"), exited(3)],
                "gone": [failed("not_found")],
                "refused": [failed("refused", "container is paused")],
                "engine": [failed("unavailable", "the engine is down")],
                "flood": [output("x" * 200_000)],
            }.get(order.exec.cmd[0], [])
        case "read":
            return [output("x" * 200_000)]
    return []


@pytest.fixture
def ask(deploy: Running) -> ContainerRest:
    return ContainerRest(deploy.channel)


@pytest.fixture
async def web(deploy: Running, deploy_neighbours: Neighbours, ask: ContainerRest) -> None:
    """The container web-1 on node-a, which nobody attached yet."""
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1)
    async with container_pusher(deploy.channel) as pusher:
        await pusher.snapshot(container())

    async def known() -> bool:
        return (await ask("GetContainer", pb.GetContainerRequest(id=PATH))).status == 200

    await eventually(known)


@asynccontextmanager
async def attached(served: Running, deploy_db: Database) -> AsyncIterator[CommandAgent]:
    async with command_agent(served.channel, reply) as agent:

        async def routed() -> bool:
            async with deploy_db.read() as tx:
                return await command_routes.find(tx, NODE_1) is not None

        await eventually(routed)
        yield agent


async def run(ask: ContainerRest, *cmd: str, path: str = PATH) -> Answer:
    return await ask.body("ExecContainer", pb.ExecContainerRequest(id=path, cmd=cmd))


@pytest.mark.usefixtures("web")
async def test_commands_reach_the_node(
    ask: ContainerRest, deploy: Running, deploy_db: Database, deploy_neighbours: Neighbours
) -> None:
    async with attached(deploy, deploy_db) as agent:
        assert (await ask.body("InspectContainer", pb.InspectContainerRequest(id=PATH))).body == {"Id": "c1"}
        assert (await ask.body("TopContainer", pb.TopContainerRequest(id=PATH))).body == [{"PID": "1"}]
        assert (await run(ask, "talk", "-v")).body == [["a", "\u00e9"], ["b"], 3]
        begun = [order for order in agent.orders if order.WhichOneof("message") == "exec"]
        assert begun[0].exec == command_pb.ExecCommand(container_id=container().container_id, cmd=["talk", "-v"])

    async def audited() -> bool:
        return {("inspect", "node-a/web-1"), ("exec", "node-a/web-1")} <= set(deploy_neighbours.audit.seen())

    await eventually(audited)


@pytest.mark.usefixtures("web")
async def test_what_the_node_refuses_is_told(ask: ContainerRest, deploy: Running, deploy_db: Database) -> None:
    async with attached(deploy, deploy_db):
        assert (await run(ask, "gone")).status == 404
        assert await run(ask, "refused") == Answer(400, {"error": "container is paused"})
        assert await run(ask, "engine") == Answer(503, {"error": "the engine is down. The command may have run"})
        assert await run(ask) == Answer(422, {"error": {"cmd": "Cmd is required"}})
        assert (await run(ask, "talk", path="g1/node-a/none")).status == 404
        assert (await run(ask, "talk", path="g2/node-a/web-1")).status == 403
        viewer = ContainerRest(deploy.channel, "viewer")
        assert (await run(viewer, "talk")).status == 403
        assert (await viewer.body("TopContainer", pb.TopContainerRequest(id=PATH))).status == 200


@pytest.mark.usefixtures("web")
async def test_a_node_that_is_not_attached_is_503(ask: ContainerRest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_commands, "_MOVING_SECONDS", 0.5)
    ran, inspect, top = await asyncio.gather(
        run(ask, "talk"),
        ask.body("InspectContainer", pb.InspectContainerRequest(id=PATH)),
        ask.body("TopContainer", pb.TopContainerRequest(id=PATH)),
    )
    told = "The node of this container is not connected"
    assert inspect == top == Answer(503, {"error": told})
    assert ran == Answer(503, {"error": f"{told}. Nothing was started"})


@pytest.mark.usefixtures("web")
async def test_a_node_that_is_lost_is_not_waited_for(
    ask: ContainerRest, deploy_neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_commands, "_MOVING_SECONDS", 3600.0)
    # It may hear of the loss while it waits.
    waiting = asyncio.create_task(run(ask, "talk"))
    deploy_neighbours.grids.put_node(NODE_1, "node-a", 1, connected=False)
    async with asyncio.timeout(30):
        assert (await waiting).status == 503
        assert (await run(ask, "talk")).status == 503


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("left", ["nothing", "the address of a replica that died"])
async def test_a_node_that_comes_back_in_a_moment_is_waited_for(
    ask: ContainerRest, deploy: Running, deploy_db: Database, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_commands, "_MOVING_SECONDS", 60.0)
    if left != "nothing":
        async with deploy_db.transaction() as tx:
            await command_routes.save(tx, NODE_1, 1, command_routes.Route("dead", f"127.0.0.1:{free_port()}"))
    waiting = asyncio.create_task(run(ask, "talk"))
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    assert not done
    async with command_agent(deploy.channel, reply):
        assert (await waiting).body == [["a", "\u00e9"], ["b"], 3]


@pytest.mark.usefixtures("web")
async def test_a_replica_that_stops_begins_nothing_and_lets_commands_end(
    ask: ContainerRest, deploy: Running, deploy_settings: Settings, deploy_db: Database
) -> None:
    address = f"127.0.0.1:{free_port()}"
    settings = deploy_settings.model_copy(update={"advertise_address": address})
    async with running(partial(app.build, settings), address) as other:
        assert other.app.leave is not None
        async with attached(other, deploy_db) as agent:
            begun = [asyncio.create_task(run(asked, "wait")) for asked in (ask, ContainerRest(other.channel))]

            async def both_run() -> bool:
                return agent.kinds().count("exec") == 2

            await eventually(both_run)
            leaving = asyncio.ensure_future(other.app.leave())
            later = asyncio.create_task(run(ask, "talk"))
            refused = await run(ContainerRest(other.channel), "talk")
            assert refused == Answer(503, {"error": "This server is about to stop. Connect again. Nothing was started"})
            call = ContainerRest(other.channel).method("ExecContainer")(
                pb.ExecContainerRequest(id=PATH, cmd=["talk"]), metadata=ask.metadata
            )
            assert "x-server-stopping" in await call.trailing_metadata()
            assert not leaving.done()
            for order in list(agent.orders):
                await agent.say(order, exited(7))
            assert [(await task).body for task in begun] == [[[], [], 7]] * 2
            await leaving
            assert agent.kinds().count("exec") == 2
            async with command_agent(deploy.channel, reply):
                assert (await later).body == [["a", "\u00e9"], ["b"], 3]


@pytest.mark.usefixtures("web")
async def test_a_node_that_is_lost_on_the_way_is_503(ask: ContainerRest, deploy: Running, deploy_db: Database) -> None:
    async with attached(deploy, deploy_db) as agent:
        waiting = asyncio.create_task(run(ask, "silent"))

        async def begun() -> bool:
            return "exec" in agent.kinds()

        await eventually(begun)
    assert await waiting == Answer(
        503, {"error": "The connection to the node of this container broke. The command may have run"}
    )


@pytest.mark.usefixtures("web")
async def test_a_command_that_prints_for_ever_ends(ask: ContainerRest, deploy: Running, deploy_db: Database) -> None:
    async with attached(deploy, deploy_db) as agent:
        assert await run(ask, "flood") == Answer(422, {"error": {"cmd": "Cmd printed more than 16 MiB"}})

        async def cancelled() -> bool:
            return agent.kinds()[-1] == "cancel"

        await eventually(cancelled)


@pytest.mark.usefixtures("web")
async def test_a_caller_that_leaves_ends_the_command(ask: ContainerRest, deploy: Running, deploy_db: Database) -> None:
    async with attached(deploy, deploy_db) as agent:
        call = ask.method("ExecContainer")(pb.ExecContainerRequest(id=PATH, cmd=["silent"]), metadata=ask.metadata)
        reading = asyncio.create_task(call.read())

        async def begun() -> bool:
            return "exec" in agent.kinds()

        await eventually(begun)
        call.cancel()
        await asyncio.gather(reading, return_exceptions=True)

        async def cancelled() -> bool:
            return agent.kinds()[-1] == "cancel"

        await eventually(cancelled)


@pytest.mark.usefixtures("web")
async def test_the_newest_stream_of_a_node_counts(ask: ContainerRest, deploy: Running, deploy_db: Database) -> None:
    async with attached(deploy, deploy_db) as older, command_agent(deploy.channel, reply, session=2) as newer:

        async def newest_answers() -> bool:
            assert (await run(ask, "talk")).status == 200
            return "exec" in newer.kinds()

        await eventually(newest_answers)
        count = len(older.orders)
        assert (await run(ask, "talk")).status == 200
        assert len(older.orders) == count


@pytest.mark.usefixtures("web")
async def test_any_replica_reaches_any_node(ask: ContainerRest, deploy_settings: Settings, deploy_db: Database) -> None:
    address = f"127.0.0.1:{free_port()}"
    settings = deploy_settings.model_copy(update={"advertise_address": address})
    async with running(partial(app.build, settings), address) as other:
        async with attached(other, deploy_db) as agent:
            assert (await run(ask, "talk")).body == [["a", "\u00e9"], ["b"], 3]
            assert (await ask.body("TopContainer", pb.TopContainerRequest(id=PATH))).body == [{"PID": "1"}]
            assert (await run(ask, "gone")).status == 404
            assert (await run(ask, "engine")).status == 503
            assert (await run(ask, "flood")).status == 422

            async def cancelled() -> bool:
                return agent.kinds()[-1] == "cancel"

            await eventually(cancelled)
            waiting = asyncio.create_task(run(ask, "silent"))

            async def begun() -> bool:
                return agent.orders[-1].exec.cmd == ["silent"]

            await eventually(begun)
        assert (await waiting).status == 503
