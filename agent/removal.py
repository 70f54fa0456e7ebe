"""`python -m agent remove-containers`: takes the containers of this node's services away while no agent runs.

Volumes and the data in them stay, and so does what the agent remembers: the next agent on the state folder makes
the containers again from what the master assigns.
"""

import asyncio
from collections.abc import Collection, Sequence

from agent.domain import labels
from agent.domain.errors import AgentError, MasterNeeded
from agent.domain.labels import InstanceKey, key_of
from agent.files import Files
from agent.network.network import dismantle
from agent.operations import Operations
from agent.runtime.docker import DockerRuntime
from agent.runtime.ports import Container
from agent.settings import EngineSettings
from agent.site import LoggedEvents, Site
from agent.state import State
from agent.state_dir import StateDir
from agent.streams.reporter import Reporter
from services.kernel.logs import get_logger

log = get_logger(__name__)

_AT_ONCE = 8


async def remove_containers(settings: EngineSettings) -> int:
    """Stop and remove them; returns how many there were. Raises AgentError when one cannot be removed, or when no
    agent has used the state folder; RuntimeError while one uses it."""
    if not settings.state_dir.is_dir():
        raise AgentError(f"no agent has used {settings.state_dir}; set KONTENA_STATE_DIR as the agent had it")
    folder = StateDir(settings.state_dir)
    try:
        state = State(folder)
        if state.node is None or state.runtime != DockerRuntime.name:
            return 0
        # The engine that the agent used, unless somebody names another one now.
        host = settings.docker_host if settings.engine_chosen else state.docker_host or settings.docker_host
        runtime = DockerRuntime(host)
        try:
            removed = await _remove(runtime, state, Files(settings.files_dir))
            await dismantle(state.node, state.node_id, folder)
            return removed
        finally:
            await runtime.close()
    finally:
        folder.close()


async def _remove(runtime: DockerRuntime, state: State, files: Files) -> int:
    site = Site(runtime, Reporter(), state, NoLogs(), NoMaster(), NoRemovals(), LoggedEvents(), files=files)
    kinds = (labels.TYPE_CONTAINER, labels.TYPE_HOOK)
    listed = [
        item
        for item in await runtime.containers.list_all(state.node_ids)
        if item.labels.get(labels.CONTAINER_TYPE) in kinds
    ]
    keys = {key for item in listed if (key := key_of(item.labels)) is not None}
    assigned = {InstanceKey(item.service_id, item.instance_number): item for item in state.assignments.values()}
    slots = asyncio.Semaphore(_AT_ONCE)

    async def withdraw(key: InstanceKey) -> None:
        async with slots:
            await Operations(key, site).withdraw(assigned.get(key))

    results = await asyncio.gather(*(withdraw(key) for key in keys), return_exceptions=True)
    problems = [result for result in results if isinstance(result, BaseException)]
    for problem in problems:
        log.error("container not removed", cause=str(problem)[:300])
    if problems:
        raise AgentError(f"{len(problems)} of {len(keys)} instances could not be removed: {problems[0]}")
    return len(listed)


class NoRemovals:
    """Nothing new comes, so nobody waits."""

    async def of_instance(self, key: InstanceKey, name: str) -> None:
        return

    async def of_ports(self, ports: frozenset[int]) -> None:
        return


class NoLogs:
    """Nobody ships logs now."""

    def follow(self, container_id: str) -> None:
        return

    async def drained(self, container_id: str) -> None:
        return

    def add(self, container: Container, stream: str, lines: Sequence[bytes], hook: str) -> None:
        return


class NoMaster:
    """One-shot hooks wait for a time with a master."""

    async def started(self, instance_id: str, hook_ids: Sequence[str]) -> Collection[str]:
        raise MasterNeeded("one-shot hooks do not run without the master")
