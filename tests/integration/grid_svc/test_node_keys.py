"""A node is a key: the grid token lets new machines in, and nobody but the machine itself is a node that is known."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.integration.grid_svc.agents import Agent, engine_id, joined, reason
from tests.integration.grid_svc.caller import Caller
from tests.integration.grid_svc.stand_ins import Neighbours
from tests.support.eventually import eventually
from tests.support.running import Running

GRID = "kontena-grid-token"
NODE = "kontena-node-token"
Users = Callable[..., Caller]
GridId = Callable[[str], Awaitable[str]]


def new_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


async def refused(
    channel: grpc.aio.Channel, metadata: dict[str, str], key: Ed25519PrivateKey | None = None, **hello: Any
) -> tuple[str, str]:
    agent = Agent(channel, metadata, key)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await agent.hello(**hello)
    return reason(caught.value), caught.value.details() or ""


async def test_a_stolen_grid_token_and_an_engine_id_open_no_session_of_another_node(
    grid: Running, other_replica: Running, admin: Caller, token: str
) -> None:
    """The attack: a member reads the token of the grid and the engine ids of its nodes."""
    mine = new_key()
    async with joined(grid.channel, token, key=mine) as agent:
        assert agent.welcome.session_token
        for thief in (new_key(), None):
            for served in (grid, other_replica):
                why, words = await refused(served.channel, {GRID: token}, thief)
                assert why == "NODE_KEY_REFUSED"
                assert "node-1" in words
                assert "reset the key" in words
        await agent.heartbeat()
        shown = (await admin.node("alpha/node-1")).body
        assert shown["connected"]
        assert shown["key_fingerprint"].startswith("SHA256:")
        await agent.goodbye()

    async def gone() -> bool:
        return not (await admin.node("alpha/node-1")).body["connected"]

    await eventually(gone)
    assert (await refused(grid.channel, {GRID: token}, new_key()))[0] == "NODE_KEY_REFUSED"
    assert "with code 4007: the key of host node node-1" in (await admin.node("alpha/node-1")).body["connection_error"]
    async with joined(other_replica.channel, token, key=mine) as back:
        assert back.welcome.node.id == agent.welcome.node.id


async def test_a_public_key_alone_proves_nothing(grid: Running, token: str) -> None:
    mine, thief = new_key(), new_key()
    async with joined(grid.channel, token, key=mine) as agent:
        shown = mine.public_key().public_bytes_raw()
        why, _ = await refused(grid.channel, {GRID: token}, thief, node_key=shown)
        assert why == "NODE_KEY_REFUSED"
        for short in (b"x", bytes(32), bytes(33)):
            assert (await refused(grid.channel, {GRID: token}, thief, node_key=short))[0] == "NODE_KEY_REFUSED"
        await agent.heartbeat()


async def test_a_proof_is_good_for_one_stream_and_for_what_it_showed(grid: Running, admin: Caller, token: str) -> None:
    """The attack: a proof that was overheard, or that a false master had a node make, is shown to this one."""
    key = new_key()
    async with joined(grid.channel, token, key=key):
        pass

    class Replaying(Agent):
        def sign(self, hello: Any, nonce: bytes) -> bytes:
            return super().sign(hello, bytes(32))

    class Relaying(Agent):
        def sign(self, hello: Any, nonce: bytes) -> bytes:
            victim = Agent(grid.channel, {GRID: "the-token-of-a-false-grid"}, key)
            victim.break_off()
            return victim.sign(hello, nonce)

    for attacker in (Replaying, Relaying):
        agent = attacker(grid.channel, {GRID: token}, key)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await agent.hello(name="node-1")
        assert reason(caught.value) == "NODE_KEY_REFUSED"
    assert len((await admin.nodes("alpha")).body["nodes"]) == 1


async def test_a_rotated_token_keeps_new_machines_out_and_cuts_no_node_off(
    grid: Running, other_replica: Running, admin: Caller, token: str
) -> None:
    mine = new_key()
    async with joined(grid.channel, token, key=mine) as agent:
        fresh = (await admin.rotate_grid_token("alpha", {})).body["token"]
        await agent.heartbeat()
    for served in (grid, other_replica):
        async with joined(served.channel, token, key=mine) as back:
            assert back.welcome.node.id == agent.welcome.node.id
    assert (await refused(grid.channel, {GRID: token}, mine, node_id=engine_id(2)))[0] == "INVALID_GRID_TOKEN"
    assert (await refused(grid.channel, {GRID: token}, new_key()))[0] == "INVALID_GRID_TOKEN"
    assert (await refused(grid.channel, {GRID: token}))[0] == "INVALID_GRID_TOKEN"
    assert (await admin.delete_node("alpha/node-1")).status == 200
    assert (await refused(grid.channel, {GRID: token}, mine))[0] == "INVALID_GRID_TOKEN"
    async with joined(grid.channel, fresh, key=mine) as anew:
        assert anew.welcome.node.id != agent.welcome.node.id


async def test_agents_without_a_key_are_let_in_until_the_node_has_one(grid: Running, admin: Caller, token: str) -> None:
    for _ in range(2):
        async with joined(grid.channel, token) as old:
            assert "key_fingerprint" not in (await admin.node("alpha/node-1")).body
    upgraded = new_key()
    async with joined(grid.channel, token, key=upgraded) as new:
        assert new.welcome.node.id == old.welcome.node.id
        assert (await admin.node("alpha/node-1")).body["key_fingerprint"]
    assert (await refused(grid.channel, {GRID: token}))[0] == "NODE_KEY_REFUSED"


async def test_a_lost_key_needs_the_word_of_an_administrator(
    grid: Running, admin: Caller, users: Users, token: str, grid_id: GridId, grid_neighbours: Neighbours
) -> None:
    ids = {await grid_id("alpha")}
    member, grid_admin = users(grid_ids=ids), users("grid_admin", grid_ids=ids)
    async with joined(grid.channel, token, key=new_key()) as old:
        for caller in (member, users("viewer", grid_ids=ids), users("grid_admin")):
            assert (await caller.reset_node_key("alpha/node-1")).status == 403
        assert (await grid_admin.reset_node_key("alpha/none")).status == 404
        assert (await grid_admin.reset_node_key("alpha/node-1")).status == 200
        assert (await old.end())[1] == "SESSION_RESET"
    reinstalled = new_key()
    async with joined(grid.channel, token, key=reinstalled) as new:
        assert new.welcome.node.id == old.welcome.node.id
        assert (await refused(grid.channel, {GRID: token}, old.key))[0] == "NODE_KEY_REFUSED"

    async def audited() -> bool:
        return ("HostNode", "reset key", "node-1") in grid_neighbours.audit.seen()

    await eventually(audited)


async def test_a_token_of_the_node_does_not_replace_its_key(grid: Running, admin: Caller, token: str) -> None:
    own = "own-token-of-the-node"
    await admin.create_node("alpha", {"name": "ahead", "token": own})
    mine = new_key()
    agent = Agent(grid.channel, {NODE: own}, mine)
    assert (await agent.hello()).node.name == "ahead"
    for thief in (new_key(), None):
        assert (await refused(grid.channel, {NODE: own}, thief))[0] == "NODE_KEY_REFUSED"
    assert (await refused(grid.channel, {NODE: "not-the-token-of-it"}, mine))[0] == "INVALID_NODE_TOKEN"
    assert (await refused(grid.channel, {GRID: token}, mine))[0] == "NODE_HAS_TOKEN"
    await agent.heartbeat()
    agent.break_off()


async def test_one_machine_in_two_grids_comes_back_to_the_one_it_was_last(
    grid: Running, admin: Caller, token: str
) -> None:
    other = (await admin.create_grid({"name": "beta"})).body["token"]
    key = new_key()
    for shown in (other, token):
        async with joined(grid.channel, shown, key=key):
            pass
    for name in ("alpha", "beta"):
        await admin.rotate_grid_token(name, {})
    async with joined(grid.channel, other, key=key) as back:
        assert back.welcome.node.grid == "alpha"
