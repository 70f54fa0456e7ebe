"""Mirrors the containers of this node at the master: all of them at connect, then each change."""

import asyncio
from collections.abc import Iterable
from typing import Any

import grpc

from agent.domain import labels
from agent.domain.container_report import report, secret_names, without_secrets
from agent.domain.errors import EngineUnreachable
from agent.domain.labels import key_of
from agent.runtime.ports import Listed, Runtime
from agent.state import State
from agent.streams.calls import StreamEnded, until_first, write
from agent.streams.membership import Joined, Membership
from agent.streams.retrying import keep_trying
from kontena.deploy.v1 import container_report_pb2 as pb
from kontena.deploy.v1 import container_report_pb2_grpc

_GATHER_SECONDS = 0.05
_BATCH = 100
_ACK_SECONDS = 30.0
# How often the list of containers is compared, for events that were missed.
_COMPARE_SECONDS = 20.0
_MIRRORED = (labels.TYPE_CONTAINER, labels.TYPE_VOLUME)


class ContainerReporter:
    """`run` sends; `follow_engine` notices. Both must be supervised."""

    def __init__(self, channel: grpc.aio.Channel, membership: Membership, runtime: Runtime, state: State) -> None:
        self._stub: Any = container_report_pb2_grpc.ContainerReportServiceStub(channel)
        self._membership = membership
        self._runtime = runtime
        self._state = state
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        # What the master was told of: engine id and whether it ran, None while only the id was told.
        self._told: dict[str, bool | None] = {}
        self._sequence = 0

    async def run(self) -> None:
        """Never returns: whatever happens, it connects again and begins with everything."""
        await keep_trying("container reports", self._membership, self._report)

    async def follow_engine(self) -> None:
        """Note changes of containers; raises when the engine cannot be listened to."""
        async for container_id in self._runtime.inspection.changes():
            if container_id is not None:
                self._changed.add(container_id)
            self._wake.set()
        raise EngineUnreachable("the engine's events ended")

    async def _report(self, joined: Joined) -> None:
        call: Any = self._stub.ReportContainers(metadata=joined.metadata)
        try:
            await until_first(self._send(call), self._membership.superseded(joined.epoch))
        finally:
            call.cancel()

    async def _send(self, call: Any) -> None:
        self._sequence = 0
        listed = await self._listed()
        # From now on, though not described yet: one that goes meanwhile must be told as gone.
        self._told = dict.fromkeys(listed)
        await self._confirmed(call, pb.ReportContainersRequest(snapshot=True, present=sorted(listed)))
        self._changed |= listed.keys()
        while True:
            await self._send_changes(call)
            try:
                async with asyncio.timeout(_COMPARE_SECONDS):
                    await self._wake.wait()
                    await asyncio.sleep(_GATHER_SECONDS)
            except TimeoutError:
                listed = await self._listed()
                self._changed |= {key for key in listed.keys() | self._told.keys() if _differs(key, listed, self._told)}
            self._wake.clear()

    async def _send_changes(self, call: Any) -> None:
        while self._changed:
            batch = sorted(self._changed)[:_BATCH]
            self._changed.difference_update(batch)
            try:
                message = await self._described(batch)
                if message.containers or message.removed:
                    await self._confirmed(call, message)
            except BaseException:
                self._changed.update(batch)
                raise

    async def _described(self, container_ids: Iterable[str]) -> pb.ReportContainersRequest:
        message = pb.ReportContainersRequest()
        for container_id in container_ids:
            shown = await self._runtime.inspection.describe(container_id)
            tags = {} if shown is None else (shown.get("Config") or {}).get("Labels") or {}
            if shown is None:
                if container_id in self._told:
                    del self._told[container_id]
                    message.removed.append(container_id)
            elif labels.is_ours(tags, self._state.node_ids) and tags.get(labels.CONTAINER_TYPE) in _MIRRORED:
                found = report(without_secrets(shown, hidden_names(self._state, tags)))
                message.containers.append(found)
                self._told[container_id] = found.state.running
        return message

    async def _confirmed(self, call: Any, message: pb.ReportContainersRequest) -> None:
        self._sequence += 1
        message.sequence = self._sequence
        try:
            async with asyncio.timeout(_ACK_SECONDS):
                await write(call, message)
                response = await call.read()
        except TimeoutError:
            raise StreamEnded(f"a container report was not confirmed within {_ACK_SECONDS:.0f} s") from None
        if response is grpc.aio.EOF:
            raise StreamEnded("the master ended the container reports")

    async def _listed(self) -> dict[str, Listed]:
        found = await self._runtime.containers.list_all(self._state.node_ids)
        return {item.id: item for item in found if item.labels.get(labels.CONTAINER_TYPE) in _MIRRORED}


def _differs(container_id: str, listed: dict[str, Listed], told: dict[str, bool | None]) -> bool:
    item = listed.get(container_id)
    return item is None or told.get(container_id) != item.running


def hidden_names(state: State, tags: Any) -> set[str]:
    """Names of the variables of a container that carry secrets: what its label says, and what is assigned to its
    instance now."""
    key = key_of(tags)
    assigned = (item for item in state.assignments.values() if (item.service_id, item.instance_number) == key)
    return secret_names(tags) | {secret.name for item in assigned for secret in item.secrets}
