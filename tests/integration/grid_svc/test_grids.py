import base64
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from kontena.grid.v1 import watch_pb2 as pb
from kontena.grid.v1.watch_pb2_grpc import GridWatchServiceStub
from services.grid_svc.app import build
from services.grid_svc.store.tables import metadata
from services.kernel.db import Database
from services.kernel.migrations import drift
from tests.integration.grid_svc.agents import joined
from tests.integration.grid_svc.caller import Caller
from tests.integration.grid_svc.conftest import MakeSettings
from tests.integration.grid_svc.stand_ins import Neighbours
from tests.support.eventually import eventually
from tests.support.running import Running, running, service_metadata
from tests.support.statements import prepared_of, statements_of

GridId = Callable[[str], Awaitable[str]]
Users = Callable[..., Caller]

FULL = {
    "name": "e2e",
    "token": "token-of-sixteen",
    "initial_size": "3",
    "subnet": "10.1.0.0/16",
    "supernet": "10.0.0.0/8",
    "stats": {"statsd": {"server": "1.2.3.4", "port": "8125"}},
    "logs": {"forwarder": "fluentd", "opts": {"fluentd-address": "foo"}},
    "default_affinity": ["label==x"],
    "trusted_subnets": ["10.240.0.0/16", "192.168.1.1"],
    "network": {"mode": "wireguard", "node_prefix": 25},
    "host_access": "members",
}


async def test_migrations_are_complete(grid_url: str) -> None:
    assert await drift(grid_url, metadata) == []


async def test_create_list_get_update_delete(admin: Caller, grid_neighbours: Neighbours, grid_id: GridId) -> None:
    created = await admin.create_grid(FULL)
    expected = FULL | {
        "id": "e2e",
        "initial_size": 3,
        "stats": {"statsd": {"server": "1.2.3.4", "port": 8125}},
        "node_count": 0,
        "service_count": 0,
        "container_count": 0,
        "user_count": 1,
    }
    assert (created.status, created.body) == (201, expected)
    found = await grid_id("e2e")

    async def creator_is_member() -> bool:
        return grid_neighbours.memberships.members == {found: {"u" * 24}}

    await eventually(creator_is_member)

    async def counted() -> bool:
        return (await admin.grid("e2e")).body == expected

    await eventually(counted, message="auth_svc tells of the member")
    assert (await admin.grids()).body == {"grids": [expected]}

    updated = await admin.update_grid("e2e", {"trusted_subnets": ["10.9.0.0/16"], "name": "x", "token": "y"})
    assert (updated.status, updated.body) == (200, expected | {"trusted_subnets": ["10.9.0.0/16"]})

    assert (await admin.delete_grid("e2e")).body == {}
    assert (await admin.grid("e2e")).status == 404
    assert (await admin.grids()).body == {"grids": []}

    async def effects() -> bool:
        # Several replicas tell, each what it takes in turn.
        return grid_neighbours.memberships.removed == [found] and sorted(grid_neighbours.audit.seen()) == [
            ("Grid", "create", "e2e"),
            ("Grid", "delete", "e2e"),
            ("Grid", "update", "e2e"),
        ]

    await eventually(effects)
    event = next(iter(grid_neighbours.audit.events.values()))
    assert (event.grid_id, event.grid, event.user_id) == (found, "e2e", "u" * 24)


async def test_defaults(admin: Caller) -> None:
    body = (await admin.create_grid({"name": None})).body
    assert re.fullmatch(r"[a-z]+-[a-z]+", body["name"])
    assert len(base64.b64decode(body["token"])) == 64
    assert (body["initial_size"], body["subnet"], body["supernet"]) == (1, "10.81.0.0/16", "10.80.0.0/12")
    assert (body["stats"], body["default_affinity"], body["trusted_subnets"]) == ({}, [], [])
    assert body["host_access"] == "admins"
    assert "logs" not in body
    assert body["network"] == {"mode": "auto", "node_prefix": 24}


async def test_hyphenated_alias_of_initial_size(admin: Caller) -> None:
    assert (await admin.create_grid({"name": "one", "initial-size": 3})).body["initial_size"] == 3
    both = {"name": "two", "initial-size": 3, "initial_size": 2}
    assert (await admin.create_grid(both)).body["initial_size"] == 2
    bad = await admin.create_grid({"name": "three", "initial-size": 9})
    assert (bad.status, bad.body) == (422, {"error": {"initial_size": "Initial Size is too big"}})


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"name": ""}, {"name": "Name can't be blank"}),
        ({"name": "ab"}, {"name": "Name is too short"}),
        ({"name": "a b c"}, {"name": "Name isn't in the right format"}),
        ({"name": "a" * 201}, {"name": "Name is too long"}),
        ({"initial_size": 0}, {"initial_size": "Initial Size is too small"}),
        (
            {"initial_size": 8, "name": "a/b"},
            {"initial_size": "Initial Size is too big", "name": "Name isn't in the right format"},
        ),
        ({"token": " "}, {"token": "Token can't be blank"}),
        ({"token": "t" * 15}, {"token": "is too short (minimum is 16 characters)"}),
        ({"subnet": "foo"}, {"subnet": "Invalid subnet foo"}),
        ({"network": {"mode": "mesh"}}, {"network": {"mode": "Mode isn't an option"}}),
        ({"network": {"node_prefix": 30}}, {"network": {"node_prefix": "Node Prefix is too big"}}),
        (
            {"subnet": "10.5.0.0/24", "network": {"node_prefix": 24}},
            {
                "network": {
                    "node_prefix": "node_prefix must be longer than the prefix of the subnet 10.5.0.0/24 and at most 29"
                }
            },
        ),
        ({"supernet": "10.0.0.0/99"}, {"supernet": "Invalid supernet 10.0.0.0/99"}),
        ({"trusted_subnets": ["x", "10.0.0.0/8", "y"]}, {"trusted_subnets": "Invalid trusted_subnet y"}),
        ({"trusted_subnets": ["1.1.1.1", " "]}, {"trusted_subnets": [None, "Trusted Subnets[1] can't be blank"]}),
        ({"default_affinity": [""]}, {"default_affinity": ["Default Affinity[0] can't be blank"]}),
        ({"stats": {"statsd": {"server": "a"}}}, {"stats": {"statsd": {"port": "Port is required"}}}),
        ({"stats": {"statsd": {"port": 1}}}, {"stats": {"statsd": {"server": "Server is required"}}}),
        ({"logs": {}}, {"logs": {"forwarder": "Forwarder is required"}}),
        ({"logs": {"forwarder": "x"}}, {"logs": {"forwarder": "Forwarder isn't an option"}}),
        ({"logs": {"forwarder": "fluentd"}}, {"logs": "fluentd-address option must be given"}),
        ({"logs": {"forwarder": "fluentd", "opts": {"a": "b"}}}, {"logs": "fluentd-address option must be given"}),
    ],
)
async def test_bad_attributes_of_a_new_grid(admin: Caller, body: dict[str, Any], errors: dict[str, Any]) -> None:
    refused = await admin.create_grid({"name": "grid-x"} | body)
    assert (refused.status, refused.body) == (422, {"error": errors})


async def test_nul_characters_and_odd_names_cause_no_fault(admin: Caller) -> None:
    assert (await admin.grid("a\x00b")).status == 404
    assert (await admin.grid("")).status == 404
    body = {
        "name": "nul",
        "default_affinity": ["a\x00b"],
        "logs": {"forwarder": "fluentd", "opts": {"fluentd-address": "\x00f"}},
    }
    created = await admin.create_grid(body)
    assert (created.status, created.body["default_affinity"]) == (201, ["a b"])


async def test_names_and_tokens_are_unique(admin: Caller, users: Users) -> None:
    assert (await admin.create_grid({"name": "alpha", "token": "t" * 16})).status == 201
    taken = {"grid": "Grid with name alpha already exists"}
    assert (await admin.create_grid({"name": "alpha"})).body == {"error": taken}
    assert (await admin.create_grid({"name": "beta", "token": "t" * 16})).body == {
        "error": {"token": "Token cannot be used. Choose another one, or leave it out for a random one."}
    }
    forbidden = await users("grid_admin").create_grid({"name": "alpha"})
    assert (forbidden.status, forbidden.body) == (422, {"error": taken | {"user": "Operation not allowed"}})
    format_first = await users().create_grid({"name": "a"})
    assert format_first.body == {"error": {"name": "Name is too short"}}


async def test_update_clears_what_is_empty_and_keeps_what_is_absent(admin: Caller) -> None:
    await admin.create_grid(FULL)
    kept = await admin.update_grid("e2e", {"stats": None, "logs": None})
    assert kept.body["stats"] == {"statsd": {"server": "1.2.3.4", "port": 8125}}
    assert kept.body["logs"] == FULL["logs"]
    cleared = await admin.update_grid(
        "e2e", {"logs": {"forwarder": "none", "opts": {}}, "stats": {"statsd": None}, "default_affinity": []}
    )
    assert (cleared.body["stats"], cleared.body["default_affinity"], "logs" in cleared.body) == ({}, [], False)
    assert cleared.body["trusted_subnets"] == FULL["trusted_subnets"]
    again = await admin.update_grid("e2e", {"stats": {"statsd": {"server": "h", "port": 1}}})
    assert again.body["stats"] == {"statsd": {"server": "h", "port": 1}}
    assert (await admin.update_grid("e2e", {"stats": {}})).body["stats"] == {}
    bad = await admin.update_grid("e2e", {"trusted_subnets": ["x"]})
    assert (bad.status, bad.body) == (422, {"error": {"trusted_subnets": "Invalid trusted_subnet x"}})


async def test_who_may_use_the_nodes_is_set_by_admins_and_told_to_followers(
    admin: Caller, users: Users, grid: Running, grid_id: GridId
) -> None:
    assert (await admin.create_grid({"name": "open", "host_access": "members"})).body["host_access"] == "members"
    await admin.create_grid({"name": "alpha"})
    bad = await admin.update_grid("alpha", {"host_access": "everybody"})
    assert (bad.status, list(bad.body["error"])) == (422, ["host_access"])
    grid_admin = users("grid_admin", grid_ids={await grid_id("alpha")})
    changed = await grid_admin.update_grid("alpha", {"host_access": "members"})
    assert (changed.status, changed.body["host_access"]) == (200, "members")
    assert (await grid_admin.update_grid("alpha", {"default_affinity": []})).body["host_access"] == "members"
    stub: Any = GridWatchServiceStub(grid.channel)
    record = await stub.GetGridRecord(pb.GetGridRecordRequest(name="alpha"), metadata=service_metadata())
    assert record.host_access == "members"


async def test_grids_of_the_release_before_keep_what_members_could_do(admin: Caller, grid_url: str) -> None:
    """A replica of the release before makes grids without the column, as all grids were made before the migration."""
    db = Database(grid_url, pool_size=1)
    columns = "id, name, token, token_digest, initial_size, subnet, supernet, default_affinity, trusted_subnets"
    values = "'" + "e" * 24 + "', 'old', 't', '\\x01', 1, '10.81.0.0/16', '10.80.0.0/12', '{}', '{}'"
    async with db.transaction() as tx:
        await tx.execute(sa.text(f"insert into grid.grids ({columns}) values ({values})"))  # noqa: S608
    await db.close()
    assert (await admin.grid("old")).body["host_access"] == "members"


async def test_who_may_do_what(admin: Caller, users: Users, grid: Running, grid_id: GridId) -> None:
    await admin.create_grid({"name": "alpha"})
    await admin.create_grid({"name": "beta"})
    ids = {await grid_id("alpha")}
    member, grid_admin = users(grid_ids=ids), users("grid_admin", grid_ids=ids)
    not_allowed = (422, {"error": {"user": "Operation not allowed"}})

    nobody = Caller(grid.channel, None)
    assert {
        (await nobody.grids()).status,
        (await nobody.grid("alpha")).status,
        (await nobody.nodes("alpha")).status,
    } == {401}
    assert (await nobody.create_grid({})).status == 401

    assert [item["name"] for item in (await member.grids()).body["grids"]] == ["alpha"]
    assert [item["name"] for item in (await admin.grids()).body["grids"]] == ["alpha", "beta"]
    for foreign in (member, grid_admin):
        denied = await foreign.grid("beta")
        assert (denied.status, denied.body) == (403, {"error": "Access denied"})
        assert (await foreign.update_grid("beta", {})).status == 403
        assert (await foreign.delete_grid("beta")).status == 403
        assert (await foreign.nodes("beta")).status == 403
    missing = await member.grid("gamma")
    assert (missing.status, missing.body) == (404, {"error": "Not found"})

    refused = await member.update_grid("alpha", {"default_affinity": []})
    assert (refused.status, refused.body) == not_allowed
    assert (await grid_admin.update_grid("alpha", {"default_affinity": ["label==a"]})).status == 200
    refused = await member.update_grid("alpha", {"host_access": "members"})
    assert (refused.status, refused.body) == not_allowed
    assert (await member.grid("alpha")).body["host_access"] == "admins"
    refused = await grid_admin.delete_grid("alpha")
    assert (refused.status, refused.body) == not_allowed
    refused = await grid_admin.create_grid({"name": "gamma"})
    assert (refused.status, refused.body) == not_allowed


async def test_a_grid_with_nodes_or_services_stays(
    admin: Caller, grid: Running, token: str, grid_neighbours: Neighbours, grid_id: GridId
) -> None:
    grid_neighbours.usage.usages[await grid_id("alpha")] = (2, 5)
    assert (await admin.delete_grid("alpha")).body == {"error": {"grid": "Grid has services"}}
    async with joined(grid.channel, token):
        assert (await admin.delete_grid("alpha")).body == {"error": {"grid": "Grid has nodes"}}

        async def counted() -> bool:
            shown = (await admin.grid("alpha")).body
            return (shown["node_count"], shown["service_count"], shown["container_count"]) == (1, 2, 5)

        await eventually(counted, message="what deploy_svc counts is shown")
    grid_neighbours.usage.usages.clear()
    assert (await admin.delete_grid("alpha")).body == {"error": {"grid": "Grid has nodes"}}
    await admin.delete_node("alpha/node-1")
    assert (await admin.delete_grid("alpha")).status == 200
    assert (await admin.create_grid({"name": "alpha"})).status == 201


async def test_a_grid_whose_services_nobody_counts_is_shown_and_stays(
    admin: Caller, grid_neighbours: Neighbours
) -> None:
    await admin.create_grid(FULL)
    grid_neighbours.usage.failing = True
    assert (await admin.grids()).status == 200
    assert (await admin.update_grid("e2e", {"default_affinity": []})).status == 200
    assert (await admin.delete_grid("e2e")).status == 503
    grid_neighbours.usage.failing = False
    assert (await admin.grid("e2e")).body["default_affinity"] == []


async def test_a_grid_has_its_creator_from_the_first_look_on(admin: Caller, grid_neighbours: Neighbours) -> None:
    """Also while auth_svc was not told of the membership yet, as right after the creation."""
    grid_neighbours.memberships.failing = True
    try:
        assert (await admin.create_grid(FULL)).body["user_count"] == 1
        assert (await admin.grid("e2e")).body["user_count"] == 1
        assert [grid["user_count"] for grid in (await admin.grids()).body["grids"]] == [1]
    finally:
        grid_neighbours.memberships.failing = False


async def test_counts_that_were_never_told_are_left_out(
    admin: Caller, grid_settings: MakeSettings, grid_neighbours: Neighbours
) -> None:
    """A replica that has not heard of deploy_svc yet shows grids all the same, and no number for what it does not
    know."""
    await admin.create_grid(FULL)
    async with running(partial(build, grid_settings(deploy_address="127.0.0.1:1"))) as served:
        lonely = Caller(served.channel, grid_neighbours.introspection.user("master_admin"))

        async def told() -> bool:
            return "user_count" in (await lonely.grid("e2e")).body

        await eventually(told, message="auth_svc tells")
        assert not {"service_count", "container_count"} & set((await lonely.grid("e2e")).body)
        assert [grid["node_count"] for grid in (await lonely.grids()).body["grids"]] == [0]


async def test_lists_cost_the_same_for_any_length(
    admin: Caller, grid_url: str, grid_neighbours: Neighbours, token: str
) -> None:
    async def cost() -> tuple[int, int, int]:
        # What was shown before is kept.
        await admin.nodes("alpha")
        grid_neighbours.usage.counted = 0
        with statements_of("ListGrids") as of_grids:
            await admin.grids()
        with statements_of("ListNodes") as of_nodes, prepared_of("ListNodes") as prepared:
            await admin.nodes("alpha")
        return len(of_grids), len(of_nodes + prepared), grid_neighbours.usage.counted

    db = Database(grid_url)
    alone = await cost()
    async with db.transaction() as tx:
        await tx.execute(
            sa.text(
                "insert into grid.grids (id, name, token, token_digest, initial_size, subnet, supernet, "
                "default_affinity, trusted_subnets) select lpad(n::text, 24, '0'), 'g' || n, 't' || n, "
                "('t' || n)::bytea, 1, '10.81.0.0/16', '10.80.0.0/12', '{}', '{}' from generate_series(1, 50) n"
            )
        )
        await tx.execute(
            sa.text(
                "insert into grid.nodes (id, grid_id, node_id, name, node_number, labels) select "
                "lpad(n::text, 24, '0'), (select id from grid.grids where name = 'alpha'), 'e' || n, 'n' || n, n, '{}' "
                "from generate_series(1, 100) n"
            )
        )
    await db.close()
    assert len((await admin.grids()).body["grids"]) == 51
    assert len((await admin.nodes("alpha")).body["nodes"]) == 100
    assert await cost() == alone == (1, 3, 0)
