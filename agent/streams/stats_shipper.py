"""Measures what containers use, each minute, and delivers it in one batch."""

import asyncio
import random
from collections import deque
from collections.abc import Mapping
from typing import Any

import grpc

from agent.domain import labels
from agent.domain.container_usage import Reading, reading, sample
from agent.domain.errors import AgentError
from agent.domain.labels import InstanceKey, key_of
from agent.runtime.ports import Runtime
from agent.state import State
from agent.streams.membership import Joined, Membership
from agent.streams.retrying import keep_trying
from kontena.deploy.v1 import stats_pb2 as pb
from kontena.deploy.v1 import stats_pb2_grpc

# Containers that were not read before are read again after this time, so that new ones show up soon.
_SECOND_READING_SECONDS = 3.0
_AT_ONCE = 8
_MOST_KEPT = 10
_SECONDS = 15.0


class StatsShipper:
    """`measure` and `run` must be supervised. Keeps ten batches while the master is away."""

    def __init__(self, channel: grpc.aio.Channel, membership: Membership, runtime: Runtime, state: State) -> None:
        self._stub: Any = stats_pb2_grpc.StatsIngestServiceStub(channel)
        self._membership = membership
        self._runtime = runtime
        self._state = state
        self._last: dict[str, Reading] = {}
        self._batches: deque[pb.PushStatsRequest] = deque(maxlen=_MOST_KEPT)
        self._filled = asyncio.Event()

    async def run(self) -> None:
        """Never returns."""
        await keep_trying("stats", self._membership, self._push)

    async def measure(self) -> None:
        """One round; raises when the engine does not answer."""
        listed = await self._runtime.containers.list_all(self._state.node_ids)
        shares: dict[InstanceKey | None, int] = {
            InstanceKey(item.service_id, item.instance_number): item.pod.cpu_shares
            for item in self._state.assignments.values()
        }
        running = {
            item.id: shares.get(key_of(item.labels), 0)
            for item in listed
            if item.running and item.labels.get(labels.CONTAINER_TYPE) == labels.TYPE_CONTAINER
        }
        self._last = {key: last for key, last in self._last.items() if key in running}
        new = {key: weight for key, weight in running.items() if key not in self._last}
        samples = await self._read(running)
        if new:
            await asyncio.sleep(_SECOND_READING_SECONDS * random.uniform(0.9, 1.1))
            samples += await self._read(new)
        if samples:
            self._batches.append(pb.PushStatsRequest(samples=samples))
            self._filled.set()

    async def _read(self, containers: Mapping[str, int]) -> list[pb.ContainerSample]:
        """Samples of the containers whose ids and weights are given."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(container_id: str, shares: int) -> pb.ContainerSample | None:
            async with slots:
                return await self._sample(container_id, shares)

        found = await asyncio.gather(*(one(container_id, shares) for container_id, shares in containers.items()))
        return [item for item in found if item is not None]

    async def _sample(self, container_id: str, shares: int) -> pb.ContainerSample | None:
        try:
            shown = await self._runtime.inspection.usage(container_id)
        except AgentError:
            return None
        after = None if shown is None else reading(shown)
        before = self._last.pop(container_id, None)
        if after is None:
            return None
        self._last[container_id] = after
        return None if before is None else sample(container_id, before, after, shares=shares)

    async def _push(self, joined: Joined) -> None:
        await self._filled.wait()
        if self._batches:
            batch = self._batches[0]
            await self._stub.PushStats(batch, metadata=joined.metadata, timeout=_SECONDS)
            if self._batches and self._batches[0] is batch:
                self._batches.popleft()
        if not self._batches:
            self._filled.clear()
