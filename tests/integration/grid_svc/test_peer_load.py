"""What it costs to tell many nodes of one another: a process of grid_svc, and agents that do nothing but listen."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from sys import intern

import grpc
import psutil
import pytest

from kontena.grid.v1 import node_session_pb2 as pb
from services.grid_svc.store.tables import metadata
from services.kernel.migrations import migrate
from tests.integration.grid_svc.agents import Agent, engine_id
from tests.integration.grid_svc.caller import Caller
from tests.integration.grid_svc.conftest import MIGRATIONS
from tests.integration.grid_svc.replicas import Replica, channel, replica
from tests.integration.grid_svc.stand_ins import Neighbours
from tests.support.eventually import eventually
from tests.support.postgres import TestPostgres
from tests.support.spreading import at_work, complete, spread

# 1,000 with `make soak`.
CROWD = 1000 if os.environ.get("KONTENA_SOAK") else 60
PER_CHANNEL = 50
JOINING_AT_ONCE = 50


class Listener:
    """An agent that knows the key of each node of its grid, itself included."""

    def __init__(self, master: grpc.aio.Channel, token: str, number: int) -> None:
        self._master = master
        self._token = token
        self.number = number
        self.keys: dict[str, str] = {}
        self.told = 0

    async def join(self) -> None:
        """Begin to speak at once: a stream without a hello for 15 s is ended."""
        number = self.number
        self.agent = Agent(self._master, {"kontena-grid-token": self._token})
        await self.agent.hello(node_id=engine_id(number), name=f"node-{number}")
        await self.take_key(f"key-{number}")

    async def take_key(self, key: str) -> None:
        network = pb.NodeNetwork(public_key=key, wireguard_port=51820, vxlan_port=4789)
        address = f"10.0.{self.number // 250}.{self.number % 250}"
        await self.agent.info(private_ip=address, public_ip=address, network=network)

    async def listen(self) -> None:
        while True:
            message = await self.agent.read()
            if message.WhichOneof("message") == "peers":
                self.told += message.ByteSize()
                if message.peers.reset:
                    self.keys = {}
                for node_id in message.peers.removed:
                    self.keys.pop(node_id, None)
                # Each text once in this process, which holds the lists of all agents.
                self.keys.update({intern(peer.id): intern(peer.public_key) for peer in message.peers.upserted})

    async def live(self) -> None:
        """Say so, as the master ends sessions that are silent."""
        while True:
            await self.agent.call.write(pb.ConnectRequest(heartbeat=pb.Heartbeat()))
            await asyncio.sleep(5)


@asynccontextmanager
async def crowd(target: str, token: str) -> AsyncIterator[list[Listener]]:
    """Agents that joined, many at once, and listen."""
    channels = [channel(target) for _ in range(0, CROWD, PER_CHANNEL)]
    found = [Listener(channels[number // PER_CHANNEL], token, number + 1) for number in range(CROWD)]
    joining = asyncio.Semaphore(JOINING_AT_ONCE)

    async def take_part(each: Listener) -> None:
        async with joining:
            await each.join()
        await asyncio.gather(each.listen(), each.live())

    async with at_work(map(take_part, found), channels):
        yield found


@pytest.fixture
def served(postgres: TestPostgres, grid_neighbours: Neighbours, tmp_path: Path) -> Iterator[Replica]:
    """A process with a database of its own."""
    url = postgres.database()
    migrate(url, MIGRATIONS, metadata)
    address = grid_neighbours.address
    with replica(
        tmp_path, DATABASE_URL=url, AUTH_ADDRESS=address, DEPLOY_ADDRESS=address, LOG_LEVEL="warning"
    ) as found:
        yield found


@pytest.mark.timeout(240)
async def test_a_change_reaches_all_with_one_small_message(
    served: Replica, grid_neighbours: Neighbours, capsys: pytest.CaptureFixture[str]
) -> None:
    async def listens() -> bool:
        return served.listens()

    await eventually(listens, within=60)
    process = psutil.Process(served.process.pid)
    async with channel(served.target) as front:
        admin = Caller(front, grid_neighbours.introspection.user("master_admin"))
        token = (await admin.create_grid({"name": "crowd", "network": {"node_prefix": 26}})).body["token"]
        empty, started = process.memory_info().rss, time.monotonic()
        async with crowd(served.target, token) as listeners:
            wanted = {f"key-{number}" for number in range(1, CROWD + 1)}

            async def known() -> bool:
                assert all(len(each.keys) == CROWD for each in listeners)
                return all(set(each.keys.values()) == wanted for each in listeners)

            await eventually(known, within=150, message="all know all")
            first = complete(time.monotonic() - started, listeners, process.memory_info().rss - empty)
            cost = await spread(process, listeners, partial(_rotate, listeners))
    with capsys.disabled():
        print(f"\npeers, {first}; {cost}")  # noqa: T201
    cost.check()


async def _rotate(listeners: list[Listener], number: int) -> float:
    """Give a node another key; the seconds until all know it."""
    changed, key = listeners[number], f"new-{number}"
    node_id, started = changed.agent.welcome.node.id, time.monotonic()
    await changed.take_key(key)

    async def told() -> bool:
        return all(each.keys[node_id] == key for each in listeners)

    await eventually(told)
    return time.monotonic() - started
