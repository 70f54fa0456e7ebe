"""What agents are told about the other nodes of their grid, and what they tell of their network."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from prometheus_client import REGISTRY

from kontena.grid.v1 import node_session_pb2 as pb
from services.kernel.db import Database
from tests.integration.grid_svc import grace
from tests.integration.grid_svc.agents import Agent, joined
from tests.integration.grid_svc.caller import Caller
from tests.support.eventually import eventually
from tests.support.running import Running


class Follower:
    """An agent that keeps the list of its peers."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.peers: dict[str, pb.Peer] = {}

    async def run(self) -> None:
        while True:
            message = await self.agent.read()
            if message.WhichOneof("message") == "peers":
                if message.peers.reset:
                    self.peers = {}
                for node_id in message.peers.removed:
                    self.peers.pop(node_id, None)
                self.peers.update({peer.id: peer for peer in message.peers.upserted})

    def seen(self) -> dict[str, tuple[str, str]]:
        """Mode and endpoint of each other node by name."""
        own = self.agent.welcome.node.id
        return {
            peer.name: (peer.mode, f"{peer.endpoint}:{peer.port}") for peer in self.peers.values() if peer.id != own
        }


@asynccontextmanager
async def following(channel: Any, token: str, number: int, **hello: Any) -> AsyncIterator[Follower]:
    """A node with a key of its own and the address 10.0.0.`number`."""
    async with joined(channel, token, number, **hello) as agent:
        follower = Follower(agent)
        network = pb.NodeNetwork(public_key=f"key-{number}", wireguard_port=51820, vxlan_port=4789)
        await agent.info(
            private_ip=f"10.0.{number // 250}.{number % 250}", public_ip=f"198.51.100.{number % 250}", network=network
        )
        reading = asyncio.create_task(follower.run())
        try:
            yield follower
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def sees(follower: Follower, wanted: dict[str, tuple[str, str]], within: float = 30.0) -> None:
    async def told() -> bool:
        assert follower.seen() == wanted, follower.seen()
        return True

    await eventually(told, within=within)


WIREGUARD, VXLAN = "wireguard", "vxlan"
COUNTED = 77


async def test_nodes_hear_of_each_other_and_of_every_change(grid: Running, admin: Caller, token: str) -> None:
    async with following(grid.channel, token, 1) as one, following(grid.channel, token, 2, labels=["region=us"]) as two:
        await sees(one, {"node-2": (WIREGUARD, "198.51.100.2:51820")})
        await sees(two, {"node-1": (WIREGUARD, "198.51.100.1:51820")})
        [peer] = [peer for peer in one.peers.values() if peer.name == "node-2"]
        assert (peer.public_key, peer.block, peer.overlay_ip, peer.distant) == (
            "key-2",
            "10.81.2.0/24",
            "10.81.0.2",
            True,
        )
        await admin.update_node("alpha/node-2", {"labels": []})
        await sees(one, {"node-2": (WIREGUARD, "10.0.0.2:51820")})
        await admin.update_grid("alpha", {"trusted_subnets": ["10.0.0.0/24"]})
        await sees(one, {"node-2": (VXLAN, "10.0.0.2:4789")})
        await admin.update_grid("alpha", {"network": {"mode": "wireguard"}})
        await sees(two, {"node-1": (WIREGUARD, "10.0.0.1:51820")})
        await admin.update_grid("alpha", {"network": {"mode": "none"}})
        await sees(two, {})


async def test_a_node_on_another_replica_is_heard_of_too(
    grid: Running, other_replica: Running, admin: Caller, token: str
) -> None:
    async with following(grid.channel, token, 1) as one, following(other_replica.channel, token, 2) as two:
        await sees(one, {"node-2": (WIREGUARD, "10.0.0.2:51820")})
        await sees(two, {"node-1": (WIREGUARD, "10.0.0.1:51820")})


async def test_a_removed_node_and_a_revoked_token_are_out_at_once(grid: Running, admin: Caller, token: str) -> None:
    """The others are told, well before their replica would look by itself, after 30 s."""
    async with following(grid.channel, token, 1) as one:
        async with following(grid.channel, token, 2):
            await sees(one, {"node-2": (WIREGUARD, "10.0.0.2:51820")})
            await admin.delete_node("alpha/node-2")
            await sees(one, {}, within=20.0)
        async with following(grid.channel, token, 3):
            await sees(one, {"node-3": (WIREGUARD, "10.0.0.3:51820")})
            revoked = await admin.set_node_token("alpha/node-3", {"token": "t" * 20, "reset_connection": True})
            assert revoked.status == 200, revoked.body
            await sees(one, {}, within=20.0)


async def test_a_node_that_is_away_stays_a_peer(grid: Running, admin: Caller, token: str, db: Database) -> None:
    async with following(grid.channel, token, 1) as one:
        async with following(grid.channel, token, 2):
            await sees(one, {"node-2": (WIREGUARD, "10.0.0.2:51820")})

        async def offline() -> bool:
            await grace.over(db)
            return bool((await admin.node("alpha/node-2")).body["status"] == "offline")

        await eventually(offline)
        await sees(one, {"node-2": (WIREGUARD, "10.0.0.2:51820")})


async def test_blocks_cannot_change_under_containers(grid: Running, admin: Caller, token: str) -> None:
    async with joined(grid.channel, token):
        refused = await admin.update_grid("alpha", {"network": {"node_prefix": 26}})
        assert refused.status == 422
        assert "cannot change while the grid has nodes" in refused.body["error"]["network"]["node_prefix"]
        same = await admin.update_grid("alpha", {"network": {"node_prefix": 24, "mode": "vxlan"}})
        assert (same.status, same.body["network"]) == (200, {"mode": "vxlan", "node_prefix": 24})
    await admin.create_grid({"name": "empty"})
    changed = await admin.update_grid("empty", {"network": {"node_prefix": 26}})
    assert changed.body["network"] == {"mode": "auto", "node_prefix": 26}


async def test_health_shows_the_network(grid: Running, admin: Caller, token: str, grid_neighbours: Any) -> None:
    async with following(grid.channel, token, 1) as one, following(grid.channel, token, 2) as two:
        await sees(one, {"node-2": (WIREGUARD, "10.0.0.2:51820")})
        before = (await admin.node_health("alpha/node-1")).body["network"]
        assert (before["state"], before["mode"], before["block"]) == ("unknown", "auto", "10.81.1.0/24")
        traffic = pb.PeerTraffic(id=two.agent.welcome.node.id, rx_bytes=7, tx_bytes=9)
        traffic.last_handshake.FromDatetime(datetime(2026, 1, 2, tzinfo=UTC))
        report = pb.NetworkReport(state="overlay", problems=["no tun"], names=3, resolver_running=True, peers=[traffic])
        await one.agent.call.write(pb.ConnectRequest(network=report))

        async def shown() -> bool:
            health = (await admin.node_health("alpha/node-1")).body["network"]
            assert health.pop("reported_at")
            assert health == {
                "state": "overlay",
                "mode": "auto",
                "block": "10.81.1.0/24",
                "overlay_ip": "10.81.0.1",
                "problems": ["no tun"],
                "resolver": {"running": True, "names": 3},
                "peers": [
                    {
                        "name": "node-2",
                        "node_number": 2,
                        "mode": "wireguard",
                        "endpoint": "10.0.0.2:51820",
                        "block": "10.81.2.0/24",
                        "last_handshake": "2026-01-02T00:00:00.001Z",
                        "rx_bytes": 7,
                        "tx_bytes": 9,
                    }
                ],
            }
            return True

        await eventually(shown)
        await one.agent.call.write(pb.ConnectRequest(network=pb.NetworkReport(state="overlay")))

        async def told() -> bool:
            assert grid_neighbours.grid_events.told == [
                ("node:network", "network of node node-1: no tun"),
                ("node:network", "network of node node-1: all is well again"),
            ]
            return True

        await eventually(told)


async def test_traffic_is_counted_per_node_while_it_is_here(grid: Running, admin: Caller, token: str) -> None:
    # A number of its own: what was counted of another node of this process may go a moment later.
    async with following(grid.channel, token, COUNTED) as one:
        for received, wanted in ((100, 100.0), (250, 250.0), (40, 290.0)):
            peers = [pb.PeerTraffic(id=f"peer-{number}", rx_bytes=received // 2, tx_bytes=7) for number in (1, 2)]
            await one.agent.call.write(pb.ConnectRequest(network=pb.NetworkReport(state="overlay", peers=peers)))
            await eventually(partial(_counts, received=wanted, sent=14.0))
    await eventually(partial(_counts, received=None, sent=None))


async def _counts(**wanted: float | None) -> bool:
    labels = [{"grid": "alpha", "node": f"node-{COUNTED}", "direction": direction} for direction in wanted]
    assert [REGISTRY.get_sample_value("node_network_bytes_total", each) for each in labels] == list(wanted.values())
    return True
