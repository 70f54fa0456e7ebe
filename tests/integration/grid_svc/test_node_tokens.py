from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import grpc
import pytest

from services.grid_svc.app import build
from services.grid_svc.usecases import node_sessions
from services.kernel.cluster_token import ClusterTokens
from services.kernel.db import Database
from services.kernel.version import VERSION, window
from tests.integration.grid_svc import grace
from tests.integration.grid_svc.agents import Agent, engine_id, joined, reason
from tests.integration.grid_svc.caller import Caller, LegacyCaller
from tests.integration.grid_svc.conftest import MakeSettings
from tests.integration.grid_svc.stand_ins import Neighbours
from tests.support.eventually import eventually
from tests.support.running import CLUSTER_SECRET, Running, running

GRID = "kontena-grid-token"
NODE = "kontena-node-token"
TAKEN = "Token cannot be used. Choose another one, or leave it out for a random one."
OWN = "own-token-of-the-node"
Users = Callable[..., Caller]
GridId = Callable[[str], Awaitable[str]]


async def refused(channel: grpc.aio.Channel, metadata: dict[str, str], **hello: Any) -> tuple[str, str]:
    agent = Agent(channel, metadata)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await agent.hello(**hello)
    return reason(caught.value), caught.value.details() or ""


async def status(admin: Caller, path: str, wanted: str) -> dict[str, Any]:
    async def fact() -> dict[str, Any] | None:
        body: dict[str, Any] = (await admin.node(path)).body
        return body if body["status"] == wanted else None

    found = await eventually(fact)
    assert found is not None
    return found


async def test_a_node_is_created_ahead_and_its_machine_joins_with_its_token(
    grid: Running, admin: Caller, token: str, grid_neighbours: Neighbours
) -> None:
    created = await admin.create_node("alpha", {"name": "ahead", "labels": ["a=b"], "token": OWN})
    assert created.status == 201
    body = created.body
    assert (body["id"], body["status"], body["has_token"], body["node_number"]) == ("alpha/ahead", "created", True, 1)
    assert ("node_id" in body, body["labels"], body["connected"], body["overlay_ip"]) == (
        False,
        ["a=b"],
        False,
        "10.81.0.1",
    )
    assert OWN not in str(body)
    assert (await admin.node_token("alpha/ahead")).body == {"id": "alpha/ahead", "token": OWN}

    agent = Agent(grid.channel, {NODE: OWN})
    # The announced name is ignored, labels are added.
    welcome = await agent.hello(name="other", labels=["c=d", "a=b"])
    assert (welcome.node.name, list(welcome.node.labels)) == ("ahead", ["a=b", "c=d"])
    assert (await admin.node(f"alpha/{engine_id(1)}")).body["name"] == "ahead"
    agent.break_off()
    again = Agent(grid.channel, {NODE: OWN})
    assert list((await again.hello(labels=["e=f"])).node.labels) == ["a=b", "c=d"]
    again.break_off()

    async def audited() -> bool:
        return ("HostNode", "create", "ahead") in grid_neighbours.audit.seen()

    await eventually(audited)


async def test_a_random_token(admin: Caller, token: str) -> None:
    await admin.create_node("alpha", {"name": "ahead", "token": None})
    assert len((await admin.node_token("alpha/ahead")).body["token"]) == 88


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"name": "Name can't be nil"}),
        ({"name": None}, {"name": "Name can't be nil"}),
        ({"name": "a b"}, {"name": "Name isn't in the right format"}),
        ({"name": "taken"}, {"name": "Node with name taken already exists"}),
        ({"name": "x", "token": ""}, {"token": "Token can't be blank"}),
        ({"name": "x", "token": "short"}, {"token": "is too short (minimum is 16 characters)"}),
        ({"name": "x", "token": "x" * 257}, {"token": "is too long (maximum is 256 characters)"}),
        ({"name": "x", "token": OWN}, {"token": TAKEN}),
        ({"name": "x", "labels": ["a", ""]}, {"labels": [None, "Labels[1] can't be blank"]}),
    ],
)
async def test_bad_attributes_of_a_new_node(
    admin: Caller, token: str, body: dict[str, Any], errors: dict[str, Any]
) -> None:
    await admin.create_node("alpha", {"name": "taken", "token": OWN})
    answer = await admin.create_node("alpha", body)
    assert (answer.status, answer.body) == (422, {"error": errors})


async def test_who_may_create_nodes_and_see_tokens(users: Users, admin: Caller, token: str, grid_id: GridId) -> None:
    await admin.create_node("alpha", {"name": "ahead"})
    ids = {await grid_id("alpha")}
    denied = (403, {"error": "Access denied"})
    for caller in (users(grid_ids=ids), users("grid_admin")):
        for answer in (
            await caller.create_node("alpha", {"name": "x"}),
            await caller.node_token("alpha/ahead"),
            await caller.set_node_token("alpha/ahead", {}),
            await caller.clear_node_token("alpha/ahead", {}),
        ):
            assert (answer.status, answer.body) == denied
    grid_admin = users("grid_admin", grid_ids=ids)
    assert (await grid_admin.create_node("alpha", {"name": "x"})).status == 201
    assert (await grid_admin.node_token("alpha/x")).status == 200
    assert (await grid_admin.node_token("alpha/none")).status == 404
    assert (await grid_admin.create_node("none", {"name": "x"})).status == 404


async def test_every_row_of_token_resolution(grid: Running, admin: Caller, token: str) -> None:
    """docs/spec/auth_grid.md section 14.3; the accepted rows are in the other tests too."""
    for number, name in ((1, "one"), (2, "two")):
        await admin.create_node("alpha", {"name": name, "token": f"{OWN}-{number}"})
    channel = grid.channel
    assert await refused(channel, {GRID: "unknown"}) == ("INVALID_GRID_TOKEN", "Invalid grid token")
    async with joined(channel, token, 9, name="by-grid") as known:
        assert known.welcome.node.name == "by-grid"
    async with joined(channel, token, 9, name="again") as known:
        assert known.welcome.node.name == "by-grid"
    assert await refused(channel, {NODE: "unknown"}) == ("INVALID_NODE_TOKEN", "Invalid node token")
    first = Agent(channel, {NODE: f"{OWN}-1"})
    assert (await first.hello(node_id=engine_id(1))).node.name == "one"
    assert await refused(channel, {GRID: token}, node_id=engine_id(1)) == (
        "NODE_HAS_TOKEN",
        "Invalid grid token, node was created using a node token",
    )
    assert await refused(channel, {NODE: f"{OWN}-1"}, node_id=engine_id(5)) == (
        "NODE_TOKEN_IN_USE",
        "Invalid node token, already used by a different node",
    )
    for taken in (1, 9):
        assert await refused(channel, {NODE: f"{OWN}-2"}, node_id=engine_id(taken)) == (
            "NODE_ID_IN_USE",
            "Invalid node ID, already used by a different node",
        )
    assert await refused(channel, {}) == ("MISSING_TOKEN", "Missing token")
    # The grid token wins when both are shown.
    assert (await refused(channel, {GRID: "unknown", NODE: f"{OWN}-1"}))[0] == "INVALID_GRID_TOKEN"
    await first.heartbeat()
    first.break_off()


async def test_set_replaces_and_clear_goes_back_to_the_grid_token(
    grid: Running, admin: Caller, token: str, grid_neighbours: Neighbours
) -> None:
    missing = (404, {"error": "Host node does not have a node token"})
    async with joined(grid.channel, token) as agent:
        await agent.info()
        await status(admin, "alpha/node-1", "online")
        answer = await admin.node_token("alpha/node-1")
        assert (answer.status, answer.body) == missing
        answer = await admin.set_node_token("alpha/node-1", {"token": OWN})
        assert (answer.status, answer.body) == (200, {"id": "alpha/node-1", "token": OWN})
        # Without reset_connection the session lives on.
        await agent.heartbeat()
        shown = (await admin.node("alpha/node-1")).body
        assert (shown["status"], shown["has_token"]) == ("online", True)
        for body, error in (
            ({"token": ""}, "Token can't be blank"),
            ({"token": OWN}, TAKEN),
            ({"token": "x" * 15}, "is too short (minimum is 16 characters)"),
            ({"token": "x" * 257}, "is too long (maximum is 256 characters)"),
        ):
            bad = await admin.set_node_token("alpha/node-1", body)
            assert (bad.status, bad.body) == (422, {"error": {"token": error}})
    assert (await refused(grid.channel, {GRID: token}))[0] == "NODE_HAS_TOKEN"
    assert (await admin.clear_node_token("alpha/node-1", {"reset_connection": True})).body == {}
    answer = await admin.node_token("alpha/node-1")
    assert (answer.status, answer.body) == missing
    assert (await refused(grid.channel, {NODE: OWN}))[0] == "INVALID_NODE_TOKEN"
    async with joined(grid.channel, token):
        pass

    async def audited() -> bool:
        events = [event[1] for event in grid_neighbours.audit.seen()]
        return events.count("update token") == events.count("clear token") == 1

    await eventually(audited)


@pytest.mark.parametrize("replica", ["grid", "other_replica"])
async def test_reset_connection_ends_the_session_on_any_replica(
    request: pytest.FixtureRequest, grid: Running, other_replica: Running, admin: Caller, token: str, replica: str
) -> None:
    channel = {"grid": grid.channel, "other_replica": other_replica.channel}[replica]
    async with joined(channel, token) as agent:
        # As the public client sends it.
        fresh = await admin.set_node_token("alpha/node-1", {"token": None, "reset_connection": True})
        assert len(fresh.body["token"]) == 88
        shown = (await admin.node("alpha/node-1")).body
        assert (shown["connected"], shown["status"], bool(shown["disconnected_at"])) == (False, "offline", True)
        code, why, message = await agent.end()
        assert (code, why) == (grpc.StatusCode.ABORTED, "SESSION_RESET")
        assert message == "host node node-1 has been disconnected"
        health = await admin.node_health("alpha/node-1")
        assert health.status == 422
        assert health.body["error"]["connection"].endswith("with code 4031: host node node-1 has been disconnected")
        assert (await refused(grid.channel, {GRID: token}))[0] == "NODE_HAS_TOKEN"
        again = Agent(channel, {NODE: fresh.body["token"]})
        welcome = await again.hello()
        old, new = (
            ClusterTokens(CLUSTER_SECRET).verify_node(each.session_token).node for each in (agent.welcome, welcome)
        )
        assert old is not None
        assert new is not None
        assert new.number > old.number + 1, "the tokens of the old session were void at once"
        again.break_off()


async def test_health_of_a_connected_node(grid: Running, admin: Caller, token: str, users: Users) -> None:
    async with joined(grid.channel, token) as agent:
        await agent.info()
        await status(admin, "alpha/node-1", "online")
        answer = await admin.node_health("alpha/node-1")
        body = answer.body
        assert (answer.status, body["id"], body["name"], body["node_number"]) == (200, "alpha/node-1", "node-1", 1)
        assert (body["initial_member"], body["status"], body["connected"]) == (True, "online", True)
        assert body["etcd_health"] == {"error": "nodes of this master run no etcd"}
        assert abs(body["clock_skew"]) < 10
        assert (await users().node_health("alpha/node-1")).status == 403
        assert (await admin.node_health("alpha/none")).status == 404


@pytest.fixture
async def hasty(grid_settings: MakeSettings) -> AsyncIterator[Running]:
    """Ends a session after 3 s of silence itself; no loop gives the node up first."""
    async with running(partial(build, grid_settings(heartbeat_seconds=1))) as served:
        yield served


async def test_health_says_why_a_node_is_not_connected(
    hasty: Running, grid: Running, admin: Caller, token: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connection(path: str) -> str:
        answer = await admin.node_health(path)
        assert answer.status == 422
        text: str = answer.body["error"]["connection"]
        return text

    await admin.create_node("alpha", {"name": "ahead", "token": OWN})
    assert await connection("alpha/ahead") == "Websocket is not connected"

    silent = Agent(hasty.channel, {GRID: token})
    await silent.hello(node_id=engine_id(1), name="silent")
    await silent.end()
    await status(admin, "alpha/silent", "offline")
    assert (await connection("alpha/silent")).endswith("with code 4030: ping timeout after 3s")

    left = Agent(grid.channel, {GRID: token})
    await left.hello(node_id=engine_id(2), name="left")
    await left.goodbye()
    await status(admin, "alpha/left", "offline")
    assert (await connection("alpha/left")).endswith("with code 1000: the agent stopped")

    broken = Agent(grid.channel, {GRID: token})
    await broken.hello(node_id=engine_id(3), name="broken")
    # On a busy machine it takes longer until a broken stream does not look like one that was closed.
    monkeypatch.setattr(node_sessions, "_GOODBYE_SECONDS", 5.0)
    broken.break_off()

    async def given_up() -> bool:
        await grace.over(db)
        return bool((await admin.node("alpha/broken")).body["status"] == "offline")

    await eventually(given_up)
    assert (await connection("alpha/broken")).endswith("with code 1006: the connection broke")

    await refused(grid.channel, {GRID: token}, node_id=engine_id(3), agent_version="1.4.0")
    rejected = await connection("alpha/broken")
    assert rejected.startswith("Websocket connection rejected at ")
    said = f"agent version 1.4.0 is not compatible with server version {VERSION}, which takes agents of {window()}"
    assert rejected.endswith(f"with code 4010: {said}")
    # Who shows no good token cannot write there.
    await refused(grid.channel, {GRID: "wrong"}, node_id=engine_id(2), agent_version="1.4.0")
    assert (await connection("alpha/left")).endswith("with code 1000: the agent stopped")


async def test_a_rotated_grid_token(
    grid: Running, admin: Caller, token: str, users: Users, grid_id: GridId, grid_neighbours: Neighbours
) -> None:
    ids = {await grid_id("alpha")}
    async with joined(grid.channel, token) as agent:
        rotated = await users("grid_admin", grid_ids=ids).rotate_grid_token("alpha", {})
        fresh = rotated.body["token"]
        assert (rotated.status, len(fresh), fresh != token) == (200, 88, True)
        await agent.heartbeat()
        assert (await admin.grid("alpha")).body["token"] == fresh
        assert await refused(grid.channel, {GRID: token}, node_id=engine_id(2)) == (
            "INVALID_GRID_TOKEN",
            "Invalid grid token",
        )
        async with joined(grid.channel, fresh, 2):
            pass
    await admin.create_grid({"name": "beta", "token": "token-of-the-grid-beta"})
    assert (await admin.rotate_grid_token("alpha", {"token": "token-of-the-grid-beta"})).body == {
        "error": {"token": TAKEN}
    }
    assert (await admin.rotate_grid_token("alpha", {"token": " "})).body == {"error": {"token": "Token can't be blank"}}
    assert (await users(grid_ids=ids).rotate_grid_token("alpha", {})).body == {
        "error": {"user": "Operation not allowed"}
    }
    assert (await users().rotate_grid_token("alpha", {})).status == 403
    assert (await admin.rotate_grid_token("alpha", {"token": "chosen-by-the-admin"})).body[
        "token"
    ] == "chosen-by-the-admin"

    async def audited() -> bool:
        return ("Grid", "rotate token", "alpha") in grid_neighbours.audit.seen()

    await eventually(audited)


async def test_legacy_path_with_the_grid_token(grid: Running, admin: Caller, token: str) -> None:
    await admin.create_grid({"name": "beta", "token": "token-of-the-grid-beta"})
    script = LegacyCaller(grid.channel, token)
    async with joined(grid.channel, token, labels=["a=b"]):
        found = await script.node(engine_id(1))
        assert (found.status, found.body["id"], found.body["labels"]) == (200, "alpha/node-1", ["a=b"])
        changed = await script.update(engine_id(1), {"labels": ["c=d"], "availability": "drain"})
        assert (changed.body["labels"], changed.body["availability"]) == (["c=d"], "active")
        assert (await script.update(engine_id(1), {"labels": []})).body["labels"] == []
        for bad in (None, "", "wrong"):
            answer = await LegacyCaller(grid.channel, bad).node(engine_id(1))
            assert (answer.status, answer.body) == (404, {"error": "Not found"})
        for stranger, engine in (
            (LegacyCaller(grid.channel, "token-of-the-grid-beta"), engine_id(1)),
            (script, engine_id(9)),
        ):
            answer = await stranger.update(engine, {"labels": []})
            assert (answer.status, answer.body) == (404, {"error": "Node not found"})
