"""Answers about nodes are put together from kept parts: they show what is committed, and to each caller his own."""

from copy import copy

import sqlalchemy as sa

from services.kernel.db import Database
from tests.integration.grid_svc.caller import Caller
from tests.integration.grid_svc.conftest import Users
from tests.support.running import Running
from tests.support.statements import prepared_of, statements_of


async def test_a_node_is_read_as_it_was_written_on_every_replica(
    admin: Caller, other_replica: Running, token: str
) -> None:
    one, other = admin, Caller(other_replica.channel, _token(admin))
    made = (await one.create_node("alpha", {"name": "n1", "labels": ["a=b"]})).body
    await one.create_node("alpha", {"name": "n2"})
    for number in range(3):
        assert (await other.node("alpha/n1")).body == made
        assert (await other.nodes("alpha")).body["nodes"][0] == made
        made = (await one.update_node("alpha/n1", {"labels": [f"n={number}"]})).body
        one, other = other, one


async def test_what_a_node_depends_on_shows_at_once(admin: Caller, db: Database, token: str) -> None:
    for name in ("n1", "n2"):
        await admin.create_node("alpha", {"name": name})
    before = (await admin.node("alpha/n1")).body
    assert (before["peer_ips"], before["grid"]["trusted_subnets"], before.get("connection_error")) == ([], [], None)
    assert (await admin.update_grid("alpha", {"trusted_subnets": ["10.0.0.0/8"]})).status == 200
    async with db.transaction() as tx:
        await tx.execute(sa.text("update grid.nodes set private_ip = '10.0.0.2' where name = 'n2'"))
        refused = "update grid.nodes set conflict_at = now() - {} * interval '1 minute', conflict_reason = 'who?'"
        await tx.execute(sa.text(refused.format(1)))
    after = (await admin.node("alpha/n1")).body
    assert (after["peer_ips"], after["grid"]["trusted_subnets"]) == (["10.0.0.2"], ["10.0.0.0/8"])
    assert after["connection_error"] == "who?"
    async with db.transaction() as tx:
        await tx.execute(sa.text(refused.format(11)))
    assert (await admin.node("alpha/n1")).body.get("connection_error") is None


async def test_what_one_caller_was_shown_is_not_kept_for_another(
    admin: Caller, users: Users, token: str, grid_id: object
) -> None:
    await admin.create_node("alpha", {"name": "n1"})
    member = users(grid_ids=[await grid_id("alpha")])  # type: ignore[operator]
    for shown, caller in ((token, admin), ("", member), (token, admin)):
        nodes = [(await caller.node("alpha/n1")).body, *(await caller.nodes("alpha")).body["nodes"]]
        assert [node["grid"].get("token") or "" for node in nodes] == [shown] * 2


async def test_nodes_whose_parts_are_kept_are_not_read_again(admin: Caller, token: str) -> None:
    for number in range(3):
        await admin.create_node("alpha", {"name": f"n{number}"})
    await admin.nodes("alpha")
    with statements_of("GetNode") as statements, prepared_of("GetNode") as prepared:
        await admin.node("alpha/n1")
    assert (len(prepared), statements) == (1, []), "the grid, the node, and what its nodes know of each other"
    with statements_of("ListNodes") as statements, prepared_of("ListNodes") as prepared:
        await admin.nodes("alpha")
    assert (len(prepared), statements) == (3, []), "the grid, which nodes, and what these know of each other"


def _token(caller: Caller) -> str:
    return dict(copy(caller)._metadata)["authorization"].partition(" ")[2]


async def test_a_new_grid_takes_four_statements(admin: Caller, token: str) -> None:
    with statements_of("CreateGrid") as statements:
        assert (await admin.create_grid({"name": "beta"})).status == 201
    assert len(statements) == 4, "the grid, its followers, its member, the audit event"
