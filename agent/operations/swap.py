"""How a successor takes the place of the container of before; `agent/domain/swap.py` says what the names mean."""

import asyncio
from dataclasses import replace
from typing import Any

from agent.domain.errors import AgentError, EngineRefused, EngineUnreachable, MasterNeeded, Overtaken, StartRefused
from agent.domain.labels import InstanceKey
from agent.domain.swap import former_name, own_name
from agent.handover import Handover
from agent.hooks import Hooks
from agent.operations.kinds import CREATE
from agent.operations.overtaken import unless_overtaken
from agent.operations.own_containers import OwnContainers
from agent.runtime.ports import Container
from agent.site import Severity, Site
from kontena.deploy.v1 import assignment_pb2 as pb
from services.kernel.logs import get_logger

log = get_logger(__name__)


class Swap:
    """Of the containers of one instance."""

    def __init__(
        self, key: InstanceKey, site: Site, own: OwnContainers, hooks: Hooks, overtaken: asyncio.Event
    ) -> None:
        self._key = key
        self._site = site
        self._runtime = site.runtime
        self._own = own
        self._hooks = hooks
        self._overtaken = overtaken

    async def take_over(
        self, assignment: pb.Assignment, successor: str, old: Container, body: dict[str, Any], handover: Handover
    ) -> None:
        """Start the successor beside `old`, which is not touched before that is ready. Until then it has the name that
        settling removes. Raises StartRefused when it does not become ready."""
        name = assignment.pod.container_name
        try:
            hooks = await self._hooks.before_start(assignment)
            await self._hooks.run_before_start(assignment, hooks, body)
            await self._own.launch(successor)
            container = await unless_overtaken(self._overtaken, handover.ready(assignment.pod, successor))
            await self._hooks.post_start(assignment, container)
        except EngineUnreachable:
            # Nobody knows how far it came; the next look does.
            raise
        except AgentError as error:
            if (failed := await self._runtime.containers.inspect(successor)) is not None:
                await self._own.take_down(failed, volumes=True)
            if isinstance(error, MasterNeeded | Overtaken):
                raise
            raise StartRefused(f"{error}; the container of before runs on") from error
        await self._runtime.containers.rename(old.id, former_name(name))
        await self._runtime.containers.rename(successor, name)
        await handover.switch(assignment, replace(container, name=name))
        await self._own.halt(old, assignment)
        await self.retire(assignment, old)

    async def swap_in(
        self, assignment: pb.Assignment, successor: str, old: Container | None, body: dict[str, Any]
    ) -> None:
        """Let the successor take the place of `old`, which comes back when that fails."""
        name = assignment.pod.container_name
        former = None
        try:
            hooks = await self._hooks.before_start(assignment)
            if old is not None and old.start_error:
                # It never worked, so there is nothing to come back to.
                await self._own.take_down(old, volumes=not assignment.pod.stateful)
            elif old is not None:
                former = old
                await self._own.halt(old, assignment)
            await self._hooks.run_before_start(assignment, hooks, body)
            if former is not None:
                await self._runtime.containers.rename(former.id, former_name(name))
            if old is not None:
                await self._runtime.containers.rename(successor, name)
            await self._own.launch(successor)
        except EngineUnreachable:
            # Nobody knows how far it came; the next look does.
            raise
        except AgentError as error:
            await self.give_up(assignment, successor, former, error)
            raise
        await self.retire(assignment, former)

    async def give_up(
        self, assignment: pb.Assignment, successor: str, former: Container | None, error: AgentError
    ) -> None:
        """The successor cannot run: `former` gets its place back and runs again, and StartRefused says so."""
        log.warning("the successor does not start", instance=assignment.instance_id, cause=str(error)[:300])
        if former is None and isinstance(error, EngineRefused):
            # There is nothing else to show; the container tells why it does not start.
            return
        failed = await self._runtime.containers.inspect(successor) if self._site.files.has(self._key) else None
        await self._runtime.containers.remove(successor, volumes=True)
        if failed is not None:
            await self._site.files.remove(failed.labels)
        if former is None:
            return
        shown = await self._runtime.containers.inspect(former.id)
        if shown is not None and shown.name != own_name(former):
            await self._runtime.containers.rename(former.id, own_name(former))
        await self._own.launch(former.id)
        self._tell(f"container {own_name(former)} of before runs again, as its successor failed", "warn")
        await self._own.post_start(assignment, former.id)
        if not isinstance(error, MasterNeeded):
            raise StartRefused(f"{error}; the container of before runs again") from error

    async def retire(self, assignment: pb.Assignment, former: Container | None) -> None:
        """Remove the one of before, as its successor works."""
        if former is not None:
            await self._own.take_down(former, volumes=not assignment.pod.stateful)
            self._tell(f"removed the old container {own_name(former)}")

    def _tell(self, message: str, severity: Severity = "info") -> None:
        self._site.events.put(self._key, severity, CREATE, message)
