"""Containers of the engine."""

import asyncio
import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agent.domain import labels
from agent.domain.errors import EngineRefused, EngineUnreachable
from agent.domain.labels import InstanceKey
from agent.domain.log_frames import parse_time
from agent.runtime.docker.engine import NOT_FOUND, Engine
from agent.runtime.ports import Container, CreateBody, Listed, Output

_STREAMS = {1: "stdout", 2: "stderr"}
_NOT_MODIFIED = 304
_BEYOND_GRACE = 30.0
_DEAD = "its removal has begun and did not end"
_UNDER_WAY = "already in progress"
_BETWEEN_LOOKS = 0.1
_CREATE_SECONDS = 60.0
_START_SECONDS = 120.0


class Containers:
    """Lists, looks at and changes containers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def list_all(self, node_ids: Collection[str]) -> list[Listed]:
        found = [listed for node_id in node_ids for listed in await self._query([f"{labels.NODE_ID}={node_id}"])]
        return list({listed.id: listed for listed in found}.values())

    async def image_ids(self) -> set[str]:
        async with self._engine.call() as docker:
            found = await docker.containers.list(all=1)
        return {item._container["ImageID"] for item in found}

    async def find(self, key: InstanceKey, kind: str, node_ids: Collection[str]) -> list[Container]:
        wanted = {
            labels.SERVICE_ID: key.service_id,
            labels.INSTANCE_NUMBER: str(key.number),
            labels.CONTAINER_TYPE: kind,
        }
        listed = await self._query([f"{name}={value}" for name, value in wanted.items()])
        found = [await self.inspect(item.id) for item in listed if labels.is_ours(item.labels, node_ids)]
        return [container for container in found if container is not None]

    async def _query(self, wanted: list[str]) -> list[Listed]:
        filters = json.dumps({"label": wanted})
        async with self._engine.call() as docker:
            found = await docker.containers.list(all=1, filters=filters)
        return [_listed(item._container) for item in found]

    async def inspect(self, name_or_id: str) -> Container | None:
        shown = await self._show(name_or_id)
        if shown is None:
            return None
        container = container_from(shown)
        other = shown["HostConfig"].get("NetworkMode", "").partition("container:")[2]
        if other and container.running:
            lender = await self._show(other)
            return replace(container, address="" if lender is None else container_from(lender).address)
        return container

    async def _show(self, name_or_id: str) -> Mapping[str, Any] | None:
        return await self._engine.show(lambda docker: docker.containers.container(name_or_id).show())

    async def create(self, name: str, body: CreateBody) -> str:
        async with self._engine.call(_CREATE_SECONDS) as docker:
            created = await docker.containers.create(dict(body), name=name)
        return created.id

    async def rename(self, container_id: str, name: str) -> None:
        async with self._engine.call() as docker:
            await docker.containers.container(container_id).rename(name)

    async def forbid_restarts(self, container_id: str) -> None:
        policy = {"RestartPolicy": {"Name": "no"}}
        async with self._engine.call() as docker:
            await docker._query_json(f"containers/{container_id}/update", method="POST", data=policy)

    async def unpause(self, container_id: str) -> None:
        async with self._engine.call() as docker:
            await docker.containers.container(container_id).unpause()

    async def start(self, container_id: str) -> None:
        async with self._engine.call(_START_SECONDS) as docker:
            await docker.containers.container(container_id).start()

    async def stop(self, container_id: str, grace: int) -> None:
        await _unless_gone(self._stop(container_id, grace))

    async def _stop(self, container_id: str, grace: int) -> None:
        async with self._engine.patient_call(grace + _BEYOND_GRACE) as docker:
            await docker.containers.container(container_id).stop(t=grace)

    async def restart(self, container_id: str, grace: int) -> None:
        async with self._engine.patient_call(grace + _START_SECONDS) as docker:
            await docker.containers.container(container_id).restart(t=grace)

    async def wait(self, container_id: str) -> int:
        async with self._engine.patient_call(None) as docker:
            answer = await docker.containers.container(container_id).wait()
        return int(answer["StatusCode"])

    async def execute(self, container_id: str, command: Sequence[str], output: Output) -> int:
        async with self._engine.call() as docker:
            made = await docker.containers.container(container_id).exec(list(command))
        # The command itself takes as long as it takes: whoever asked for it sets a deadline.
        async with self._engine.patient_call(None), made.start() as stream:
            while (message := await stream.read_out()) is not None:
                output(_STREAMS.get(message.stream, "stdout"), message.data)
        async with self._engine.call():
            shown = await made.inspect()
        code = shown["ExitCode"]
        if code is None:
            raise EngineUnreachable("the output of a command broke off")
        return int(code)

    async def remove(self, container_id: str, *, volumes: bool) -> None:
        try:
            await _unless_gone(self._remove(container_id, volumes=volumes))
        except EngineRefused as error:
            if _UNDER_WAY not in str(error):
                raise
            await self._await_removal(container_id)

    async def _await_removal(self, container_id: str) -> None:
        """Somebody removes it already; until that is done it keeps its name and its ports."""
        deadline = time.monotonic() + _CREATE_SECONDS
        while await self._show(container_id) is not None:
            if time.monotonic() > deadline:
                raise EngineUnreachable("a removal of the container that is under way did not end in time")
            await asyncio.sleep(_BETWEEN_LOOKS)

    async def _remove(self, container_id: str, *, volumes: bool) -> None:
        async with self._engine.call(_CREATE_SECONDS) as docker:
            await docker.containers.container(container_id).delete(force=True, v=volumes)


async def _unless_gone(change: Any) -> None:
    try:
        await change
    except EngineRefused as error:
        if error.status not in (NOT_FOUND, _NOT_MODIFIED):
            raise


def container_from(shown: Mapping[str, Any]) -> Container:
    """A container from the engine's answer to inspect."""
    state = shown["State"]
    network = shown.get("NetworkSettings") or {}
    addresses = [network.get("IPAddress", "")]
    addresses += [entry.get("IPAddress", "") for entry in (network.get("Networks") or {}).values()]
    return Container(
        id=shown["Id"],
        name=shown["Name"].removeprefix("/"),
        image_id=shown["Image"],
        labels=shown["Config"].get("Labels") or {},
        running=bool(state["Running"]),
        pid=int(state.get("Pid") or 0),
        restarting=bool(state.get("Restarting")),
        started_at_ns=_time(state.get("StartedAt")),
        finished_at_ns=_time(state.get("FinishedAt")),
        exit_code=state.get("ExitCode", 0),
        oom_killed=bool(state.get("OOMKilled")),
        start_error=state.get("Error") or (_DEAD if state.get("Dead") else ""),
        paused=bool(state.get("Paused")),
        restart_policy=((shown.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") or "",
        networks={
            name: frozenset(entry.get("Aliases") or ()) for name, entry in (network.get("Networks") or {}).items()
        },
        address=next((address for address in addresses if address), ""),
        volumes={
            mount["Destination"]: mount["Name"] for mount in shown.get("Mounts") or () if mount.get("Type") == "volume"
        },
    )


def _time(text: str | None) -> int:
    """The engine writes a year 1 for never."""
    return max(0, parse_time(text or "") or 0)


def _listed(item: Mapping[str, Any]) -> Listed:
    names = item.get("Names") or ["/"]
    networks = (item.get("NetworkSettings") or {}).get("Networks") or {}
    running = item.get("State") == "running"
    return Listed(item["Id"], names[0].removeprefix("/"), item.get("Labels") or {}, running, frozenset(networks))
