"""Hollow agents through Envoy on two replicas: twenty, two hundred with `make test-heavy`.

Heartbeats come every 1.5 s instead of every 5 s, and nobody may flap for 6 of them, which is twice as long as a replica
bears silence. `make soak` runs the same with 500 for two minutes with the default period. The silence after which other
replicas give up a node is its default, 20 s, in all.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from agent.machine import Machine
from agent.runtime.hollow import HollowRuntime
from agent.streams.membership import Membership
from agent.streams.session import Introduction, Session
from kontena.grid.v1 import watch_pb2, watch_pb2_grpc
from services.grid_svc.store.tables import metadata
from services.kernel.logs import get_logger
from services.kernel.migrations import migrate
from services.kernel.principal import NodeSession
from services.kernel.version import VERSION
from tests.integration.grid_svc.agents import engine_id, opened_by
from tests.integration.grid_svc.caller import Caller
from tests.integration.grid_svc.conftest import MIGRATIONS
from tests.integration.grid_svc.replicas import Replica, behind_envoy, channel
from tests.integration.grid_svc.stand_ins import Neighbours
from tests.support.eventually import eventually
from tests.support.postgres import TestPostgres
from tests.support.running import service_metadata

pytestmark = pytest.mark.slow

log = get_logger(__name__)

SOAK = bool(os.environ.get("KONTENA_SOAK"))
CROWDS = [500] if SOAK else [20, pytest.param(200, marks=pytest.mark.heavy)]
HEARTBEAT_SECONDS = 5.0 if SOAK else 1.5
QUIET_SECONDS = 120.0 if SOAK else 4 * HEARTBEAT_SECONDS
SILENCE_SECONDS = 20.0
GRACE = 3.0
# Other tests run beside the short form.
LONGEST_OFFLINE = GRACE if SOAK else 4 * GRACE


class CountedSession(Session):
    """The agent's own session, which also says when it is up."""

    def __init__(self, up: set[str], introduction: Introduction, machine: Machine, master: grpc.aio.Channel) -> None:
        self.node_id = introduction.node_id
        self.session = NodeSession("", "", 0)
        self._up = up
        super().__init__(master, introduction, Membership(), machine, lambda _node: None)

    async def _welcome(self, welcome: Any) -> None:
        await super()._welcome(welcome)
        self.session = opened_by(welcome)
        self._up.add(self.node_id)

    async def _connect(self) -> None:
        try:
            await super()._connect()
        finally:
            self._up.discard(self.node_id)


@asynccontextmanager
async def crowd(target: str, token: str, agents: int) -> AsyncIterator[tuple[list[CountedSession], set[str]]]:
    """All agents, each with a connection of its own, and the ids of those that are welcome now."""
    up: set[str] = set()
    sessions, channels = [], []
    for number in range(agents):
        # Every name is announced twice.
        name = f"node-{number % (agents // 2)}"
        metadata = (("kontena-grid-token", token),)
        introduction = Introduction(engine_id(number), name, VERSION, ["region=eu"], metadata)
        machine = Machine(HollowRuntime(engine_id(number)), target, "", f"10.0.{number // 250}.{number % 250}")
        channels.append(channel(target))
        sessions.append(CountedSession(up, introduction, machine, channels[-1]))
    tasks = [asyncio.create_task(session.run()) for session in sessions]
    try:
        yield sessions, up
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(each.close() for each in channels))


class Watcher:
    """Follows all nodes on one replica and measures how long each was shown offline. `sessions` are the newest."""

    def __init__(self) -> None:
        self.sessions: dict[str, int] = {}
        self.connected: set[str] = set()
        self.longest_offline = 0.0
        self._offline_since: dict[str, float] = {}

    def offline(self) -> float:
        now = time.monotonic()
        return max([self.longest_offline, *(now - since for since in self._offline_since.values())])

    async def follow(self, call: Any) -> None:
        async for event in call:
            if event.HasField("upserted"):
                self._see(event.upserted)

    def _see(self, node: Any) -> None:
        now = time.monotonic()
        self.sessions[node.id] = node.session
        if node.connected:
            self.connected.add(node.id)
            self.longest_offline = max(self.longest_offline, now - self._offline_since.pop(node.id, now))
        elif node.id in self.connected:
            self.connected.discard(node.id)
            self._offline_since[node.id] = now


@asynccontextmanager
async def watching(replica: Replica) -> AsyncIterator[Watcher]:
    watcher = Watcher()
    async with channel(replica.target) as direct:
        stub: Any = watch_pb2_grpc.GridWatchServiceStub(direct)
        call = stub.WatchNodes(watch_pb2.WatchNodesRequest(), metadata=service_metadata())
        task = asyncio.create_task(watcher.follow(call))
        yield watcher
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def crowded(postgres: TestPostgres, grid_neighbours: Neighbours, tmp_path: Path) -> Iterator[tuple[str, list[Replica]]]:
    """Two replicas with a database of their own: those of the other tests have another grace."""
    url = postgres.database()
    migrate(url, MIGRATIONS, metadata)
    environment = {
        "DATABASE_URL": url,
        "AUTH_ADDRESS": grid_neighbours.address,
        "DEPLOY_ADDRESS": grid_neighbours.address,
        "HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS),
        # As often as a few send them.
        "HEARTBEATS_PER_SECOND": "1000",
        "LAST_SEEN_SECONDS": str((SILENCE_SECONDS - 3 * HEARTBEAT_SECONDS) / 2),
        "RECONNECT_GRACE_SECONDS": str(GRACE),
        "LOG_LEVEL": "warning",
    }
    with behind_envoy(tmp_path, 2, **environment) as found:
        yield found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("agents", CROWDS)
async def test_agents_join_at_once_stay_and_survive_a_killed_replica(
    crowded: tuple[str, list[Replica]], grid_neighbours: Neighbours, agents: int
) -> None:
    target, (survivor, victim) = crowded
    async with channel(target) as front:
        admin = Caller(front, grid_neighbours.introspection.user("master_admin"))
        token = (await admin.create_grid({"name": "crowd", "network": {"node_prefix": 26}})).body["token"]
        async with watching(survivor) as watcher, crowd(target, token, agents) as (sessions, up):

            async def all_up() -> bool:
                shown = {node: number for node, number in watcher.sessions.items() if node in watcher.connected}
                return len(up) == agents and shown == open_sessions()

            def open_sessions() -> dict[str, int]:
                return {each.session.node_id: each.session.number for each in sessions}

            started = time.monotonic()
            await eventually(all_up, within=120, message="all agents are welcome")
            log.info("all joined", seconds=round(time.monotonic() - started, 1))

            nodes = (await admin.nodes("crowd")).body["nodes"]
            assert sorted(node["node_number"] for node in nodes) == list(range(1, agents + 1))
            assert len({node["name"] for node in nodes}) == agents
            assert all(node["connected"] for node in nodes)

            # Nobody flaps.
            before = open_sessions()
            end = time.monotonic() + QUIET_SECONDS
            while time.monotonic() < end:
                assert (len(up), len(watcher.connected)) == (agents, agents)
                # Whoever went and came back has another session, however short it was away.
                assert watcher.sessions == open_sessions() == before
                await asyncio.sleep(0.2)

            async def all_online() -> bool:
                listed = (await admin.nodes("crowd")).body["nodes"]
                return {node["status"] for node in listed} == {"online"}

            await eventually(all_online)

            watcher.longest_offline = 0.0
            victim.kill()
            started = time.monotonic()

            async def some_lost() -> bool:
                return len(up) < agents or open_sessions() != before

            await eventually(some_lost)
            await eventually(all_up, within=120, message="all agents are back")
            moved = sum(number > before[node] for node, number in open_sessions().items())
            log.info("all back", moved=moved, seconds=round(time.monotonic() - started, 1), offline=watcher.offline())
            assert agents // 10 <= moved <= agents * 9 // 10, "both replicas had their share"
            await eventually(all_online)
            assert watcher.offline() <= LONGEST_OFFLINE
