from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.kernel.version import VERSION
from tests.integration.grid_svc.agents import Agent, engine_id, joined
from tests.integration.grid_svc.caller import Caller
from tests.integration.grid_svc.stand_ins import Neighbours
from tests.support.eventually import eventually
from tests.support.running import Running

Users = Callable[..., Caller]
GridId = Callable[[str], Awaitable[str]]

INFO: dict[str, Any] = {
    "os": "Linux",
    "kernel_version": "6.1",
    "driver": "overlay2",
    "engine_root_dir": "/var/lib/docker",
    "docker_version": "27.1",
    "network_drivers": [{"name": "bridge"}],
    "volume_drivers": [{"name": "local", "version": "1"}],
    "mem_total": 8e9,
    "cpus": 4,
    "public_ip": "1.1.1.1",
    "private_ip": "10.0.0.1",
}
STATS: dict[str, Any] = {
    "memory": {"used": 5, "cached": 1, "buffers": 2, "total": 8},
    "load": {"1m": 0.4, "5m": 0.3, "15m": 0.6},
    "filesystem": [{"name": "/var/lib/docker", "used": 1, "total": 2}],
    "cpu": {"num_cores": 4, "user": 12.5},
}


async def online(caller: Caller, path: str) -> dict[str, Any]:
    async def fact() -> dict[str, Any] | None:
        body: dict[str, Any] = (await caller.node(path)).body
        return body if body["status"] == "online" else None

    found = await eventually(fact)
    assert found is not None
    return found


async def test_everything_a_node_shows(admin: Caller, grid: Running, token: str) -> None:
    async with joined(grid.channel, token, labels=["region=eu", "ssd"]) as agent:
        connecting = (await admin.node("alpha/node-1")).body
        assert (connecting["status"], connecting["connected"], connecting["updated"]) == ("connecting", True, False)
        # Clients look this entry up for every connected node.
        usage = connecting["resource_usage"]
        assert connecting["engine_root_dir"] in [item["name"] for item in usage["filesystem"]]
        assert set(usage["load"]) == {"1m", "5m", "15m"}

        await agent.info(**INFO)
        fresh = await online(admin, "alpha/node-1")
        assert [item["name"] for item in fresh["resource_usage"]["filesystem"]] == ["/var/lib/docker"]

        await agent.stats(**STATS)

        async def sampled() -> dict[str, Any] | None:
            body: dict[str, Any] = (await admin.node(f"alpha/{engine_id(1)}")).body
            return body if "memory" in body["resource_usage"] else None

        node = await eventually(sampled)
        assert node is not None
        times = {key: node.pop(key) for key in ("created_at", "updated_at", "connected_at", "last_seen_at")}
        assert all(times.values())
        used = node.pop("resource_usage")
        assert (used["memory"]["used"], used["load"], used["cpu"]["user"]) == (5, STATS["load"], 12.5)
        assert used["filesystem"] == [{"name": "/var/lib/docker", "used": 1, "total": 2, "free": 0, "available": 0}]
        assert node == INFO | {
            "id": "alpha/node-1",
            "node_id": engine_id(1),
            "name": "node-1",
            "connected": True,
            "updated": True,
            "availability": "active",
            "status": "online",
            "has_token": False,
            "labels": ["region=eu", "ssd"],
            "mem_limit": 0,
            "overlay_ip": "10.81.0.1",
            "agent_version": VERSION,
            "peer_ips": [],
            "node_number": 1,
            "initial_member": True,
            "initial_node": True,
            "grid": {
                "id": "alpha",
                "name": "alpha",
                "initial_size": 3,
                "token": token,
                "stats": {},
                "trusted_subnets": [],
                "subnet": "10.81.0.0/16",
                "supernet": "10.80.0.0/12",
            },
        }


async def test_nodes_are_listed_by_name_with_peers_by_region(admin: Caller, grid: Running, token: str) -> None:
    async with (
        joined(grid.channel, token, 1, name="b", labels=["region=eu"]) as one,
        joined(grid.channel, token, 2, name="a", labels=["region=eu"]) as two,
        joined(grid.channel, token, 3, name="B", labels=["region=us"]) as three,
        joined(grid.channel, token, 4, name="c"),
    ):
        for number, agent in enumerate((one, two, three), 1):
            await agent.info(public_ip=f"1.1.1.{number}", private_ip=f"10.0.0.{number}")
        for name in ("a", "b", "B"):
            await online(admin, f"alpha/{name}")
        listed = (await admin.nodes("alpha")).body["nodes"]
        assert [(item["name"], item["node_number"], item["initial_member"], item["peer_ips"]) for item in listed] == [
            ("B", 3, True, ["1.1.1.1", "1.1.1.2"]),
            ("a", 2, True, ["10.0.0.1", "1.1.1.3"]),
            ("b", 1, True, ["10.0.0.2", "1.1.1.3"]),
            ("c", 4, False, ["1.1.1.1", "1.1.1.2", "1.1.1.3"]),
        ]
        assert (await admin.node("alpha/b")).body == listed[2]


async def test_agents_hear_of_changes_around_them(admin: Caller, grid: Running, token: str) -> None:
    async with joined(grid.channel, token, 1) as one:
        await admin.update_node("alpha/node-1", {"labels": ["a=b"]})
        while list((node := (await one.read()).node).labels) != ["a=b"]:
            pass
        assert (node.initial_member, node.initial_size, node.HasField("logs")) == (True, 3, False)
        logs = {"forwarder": "fluentd", "opts": {"fluentd-address": "127.0.0.1:1"}}
        stats = {"statsd": {"server": "127.0.0.1", "port": 8125}}
        await admin.update_grid("alpha", {"logs": logs, "stats": stats, "trusted_subnets": ["10.9.0.0/16"]})
        while not (node := (await one.read()).node).HasField("logs"):
            pass
        assert (node.logs.forwarder, dict(node.logs.opts)) == ("fluentd", {"fluentd-address": "127.0.0.1:1"})
        assert (node.stats.statsd.port, list(node.trusted_subnets)) == (8125, ["10.9.0.0/16"])


async def test_update_labels_and_availability(
    admin: Caller, grid: Running, token: str, grid_neighbours: Neighbours
) -> None:
    async with joined(grid.channel, token, labels=["a=b"]) as agent:
        await agent.info()
        await online(admin, "alpha/node-1")
        assert (await admin.update_node("alpha/node-1", {"name": "x"})).body["labels"] == ["a=b"]
        drained = await admin.update_node("alpha/node-1", {"availability": "drain"})
        assert (drained.status, drained.body["status"], drained.body["labels"]) == (200, "drain", ["a=b"])
        labelled = await admin.update_node("alpha/node-1", {"labels": ["c=d", "e"], "availability": None})
        assert (labelled.body["labels"], labelled.body["availability"]) == (["c=d", "e"], "drain")
        assert (await admin.update_node("alpha/node-1", {"labels": []})).body["labels"] == []
        refused = await admin.update_node("alpha/node-1", {"availability": "evacuate"})
        assert (refused.status, refused.body) == (422, {"error": {"availability": "Availability isn't an option"}})
        blank = await admin.update_node("alpha/node-1", {"labels": ["a", " "]})
        assert blank.body == {"error": {"labels": [None, "Labels[1] can't be blank"]}}

    async def audited() -> bool:
        # Several replicas tell, each what it takes in turn.
        events = sorted(event[1:] for event in grid_neighbours.audit.seen() if event[0] == "HostNode")
        return events == [("create", "node-1"), *[("update", "node-1")] * 3]

    await eventually(audited)


async def test_labels_of_the_engine_count_only_while_there_are_none(admin: Caller, grid: Running, token: str) -> None:
    async with joined(grid.channel, token) as agent:
        await agent.info(labels=["from=engine", " "])
        assert (await online(admin, "alpha/node-1"))["labels"] == ["from=engine"]
        await agent.info(labels=["other=engine"], os="Linux")

        async def stored() -> bool:
            return bool((await admin.node("alpha/node-1")).body.get("os") == "Linux")

        await eventually(stored)
        assert (await admin.node("alpha/node-1")).body["labels"] == ["from=engine"]


async def test_labels_set_by_a_user_survive_a_reconnect_of_the_agent(admin: Caller, grid: Running, token: str) -> None:
    async with joined(grid.channel, token, labels=["from=agent"]) as agent:
        await agent.info(labels=["from=engine"])
        await online(admin, "alpha/node-1")
        await admin.update_node("alpha/node-1", {"labels": ["from=user"]})
    async with joined(grid.channel, token, labels=["from=agent"]) as agent:
        await agent.info(labels=["from=engine"], os="again")

        async def stored() -> bool:
            return bool((await admin.node("alpha/node-1")).body.get("os") == "again")

        await eventually(stored)
    assert (await admin.node("alpha/node-1")).body["labels"] == ["from=user"]


async def test_a_removed_node_frees_its_number_and_name(admin: Caller, grid: Running, token: str) -> None:
    async with joined(grid.channel, token, 1), joined(grid.channel, token, 2) as two:
        assert (await admin.delete_node("alpha/node-1")).body == {}
        assert (await admin.node("alpha/node-1")).status == 404
        async with joined(grid.channel, token, 3, name="node-1") as again:
            assert (again.welcome.node.node_number, again.welcome.node.name) == (1, "node-1")
        assert two.welcome.node.node_number == 2


async def test_who_may_change_nodes(users: Users, grid: Running, token: str, grid_id: GridId) -> None:
    ids = {await grid_id("alpha")}
    member, viewer, stranger = users(grid_ids=ids), users("viewer", grid_ids=ids), users("grid_admin")
    async with joined(grid.channel, token):
        assert (await viewer.node("alpha/node-1")).status == 200
        for caller in (viewer, stranger):
            refused = await caller.update_node("alpha/node-1", {"labels": ["a"]})
            assert (refused.status, refused.body) == (403, {"error": "Access denied"})
            assert (await caller.delete_node("alpha/node-1")).status == 403
        assert (await stranger.node("alpha/node-9")).status == 403
        assert (await stranger.node("beta/node-1")).status == 404
        assert (await member.update_node("alpha/node-1", {"labels": ["a"]})).status == 200
        assert (await member.delete_node("alpha/node-1")).status == 200


async def test_only_administrators_see_the_token_that_lets_a_node_join(
    users: Users, grid: Running, token: str, grid_id: GridId
) -> None:
    ids = {await grid_id("alpha")}
    async with joined(grid.channel, token):
        grid_admins = ((users("grid_admin", grid_ids=ids), token), (users("grid_admin", "viewer", grid_ids=ids), token))
        for caller, seen in ((users("viewer", grid_ids=ids), ""), (users(grid_ids=ids), ""), *grid_admins):
            listed = await caller.grids()
            assert [found["token"] for found in listed.body["grids"]] == [seen]
            assert (await caller.grid("alpha")).body["token"] == seen
            assert (await caller.node("alpha/node-1")).body["grid"]["token"] == seen


@pytest.mark.parametrize("path", ["alpha/none", "alpha/" + engine_id(9), "alpha/a\x00b", "alpha/", "alpha", "\x00/x"])
async def test_unknown_nodes(admin: Caller, token: str, path: str) -> None:
    for answer in (
        await admin.node(path),
        await admin.delete_node(path),
        await admin.update_node(path, {"labels": []}),
    ):
        assert (answer.status, answer.body) == (404, {"error": "Not found"})


async def test_odd_texts_of_agents_cause_no_fault(admin: Caller, grid: Running, token: str) -> None:
    hello: dict[str, Any] = {"name": " w\x00eb/1:x ", "labels": ["a\x00b", ""]}
    async with joined(grid.channel, token, **hello) as agent:
        assert agent.welcome.node.name == "w-eb-1-x"
        await agent.info(os="a\x00", mem_total=float("nan"), network_drivers=[{"name": "\x00"}])
        assert (await online(admin, "alpha/w-eb-1-x"))["mem_total"] == 0
        await agent.stats(load={"1m": float("inf"), "\x00": 1}, filesystem=[{"name": "\x00/", "used": float("nan")}])
        assert isinstance(await agent.heartbeat(), object)

        async def sampled() -> bool:
            return "/" in [
                item["name"] for item in (await admin.node("alpha/w-eb-1-x")).body["resource_usage"]["filesystem"]
            ]

        await eventually(sampled)


async def test_a_disconnected_node_is_shown_offline_with_its_last_sample(
    admin: Caller, grid: Running, token: str
) -> None:
    agent = Agent(grid.channel, {"kontena-grid-token": token})
    await agent.hello()
    await agent.goodbye()

    async def offline() -> dict[str, Any] | None:
        body: dict[str, Any] = (await admin.node("alpha/one")).body
        return body if body["status"] == "offline" else None

    node = await eventually(offline)
    assert node is not None
    assert ("resource_usage" in node, "engine_root_dir" in node, bool(node["disconnected_at"])) == (False, False, True)
