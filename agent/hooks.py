"""Runs the hooks of one instance (docs/spec/orchestration.md section 8.5). One-shot hooks are recorded by the master,
and here, before the first one of a moment runs: one that fails is not run again."""

import asyncio
import secrets
from typing import Any

from agent.domain import hooks as rules
from agent.domain import labels
from agent.domain.errors import AgentError, HookFailed
from agent.domain.hooks import Hook
from agent.domain.labels import InstanceKey
from agent.logs.written_lines import WrittenLines
from agent.runtime import config
from agent.runtime.ports import Container
from agent.site import Site
from kontena.deploy.v1 import assignment_pb2 as pb
from services.kernel.logs import get_logger

log = get_logger(__name__)

# Nothing else happens to the instance meanwhile, so a command that never ends must not hold it for ever.
LONGEST = 300.0


class Hooks:
    """Hooks of an instance; `assignment` says which ones it has."""

    def __init__(self, key: InstanceKey, site: Site) -> None:
        self._key = key
        self._site = site
        self._runtime = site.runtime

    async def before_start(self, assignment: pb.Assignment) -> list[Hook]:
        """The pre_start hooks that are to run now, one-shot ones recorded. Raises MasterNeeded when one may not run
        yet."""
        return await self._cleared(assignment, rules.PRE_START)

    async def run_before_start(self, assignment: pb.Assignment, hooks: list[Hook], body: dict[str, Any]) -> None:
        """Run them, each in a temporary container made like `body`. Raises HookFailed at the first that fails."""
        await self.remove_leftovers()
        for hook in hooks:
            code = await self._in_own_container(assignment.pod.container_name, hook, body)
            if code != 0:
                raise HookFailed(f"{hook.title} failed: {_outcome(code)}")

    async def post_start(self, assignment: pb.Assignment, container: Container) -> None:
        """Run them inside the container. A failure ends the row and is told as an event; the instance goes on."""
        await self._inside(assignment, container, rules.POST_START, "service:create_instance")

    async def pre_stop(self, assignment: pb.Assignment, container: Container) -> None:
        """As `post_start`, before the container stops."""
        await self._inside(assignment, container, rules.PRE_STOP, "service:stop_instance")

    async def remove_leftovers(self) -> None:
        """Remove temporary containers of hooks that were cut short."""
        for container in await self._runtime.containers.find(self._key, labels.TYPE_HOOK, self._site.state.node_ids):
            await self._runtime.containers.remove(container.id, volumes=True)

    async def _inside(self, assignment: pb.Assignment, container: Container, moment: str, kind: str) -> None:
        try:
            for hook in await self._cleared(assignment, moment):
                code = await self._execute(container, hook)
                if code != 0:
                    raise HookFailed(f"{hook.title} failed: {_outcome(code)}")
        except AgentError as error:
            self._site.events.put(self._key, "error", kind, str(error))
            log.warning("hook failed", instance=assignment.instance_id, moment=moment, cause=str(error)[:300])

    async def _cleared(self, assignment: pb.Assignment, moment: str) -> list[Hook]:
        """The hooks that are to run now, recorded where that is needed."""
        known = [Hook(hook.id, hook.type, hook.cmd, hook.oneshot) for hook in assignment.pod.hooks]
        record = self._site.state.record(self._key, assignment.restarts)
        hooks = rules.due(known, moment, record.hooks)
        oneshots = rules.oneshots(hooks)
        if not oneshots:
            return hooks
        allowed = await self._site.oneshots.started(assignment.instance_id, oneshots)
        record.hooks = [*record.hooks, *oneshots]
        self._site.state.flush()
        for hook in hooks:
            if hook.oneshot and hook.id not in allowed:
                log.info("one-shot hook ran before", instance=assignment.instance_id, hook=hook.id)
        return [hook for hook in hooks if not hook.oneshot or hook.id in allowed]

    async def _in_own_container(self, pod_name: str, hook: Hook, body: dict[str, Any]) -> int | None:
        name = f"{pod_name}-{rules.PRE_START}-{secrets.token_hex(4)}"
        container_id = await self._runtime.containers.create(name, config.hook_container_config(body, hook))
        try:
            container = await self._runtime.containers.inspect(container_id)
            if container is not None:
                self._site.logs.add(container, "stdout", [_announcement(hook)], hook.path)
            await self._runtime.containers.start(container_id)
            self._site.logs.follow(container_id)
            self._site.tell_start()
            async with asyncio.timeout(LONGEST):
                return await self._runtime.containers.wait(container_id)
        except TimeoutError:
            return None
        finally:
            await self._runtime.containers.stop(container_id, 0)
            await self._site.logs.drained(container_id)
            await self._runtime.containers.remove(container_id, volumes=True)

    async def _execute(self, container: Container, hook: Hook) -> int | None:
        self._site.logs.add(container, "stdout", [_announcement(hook)], hook.path)
        written = WrittenLines()
        try:
            async with asyncio.timeout(LONGEST):
                return await self._runtime.containers.execute(container.id, ["/bin/sh", "-c", hook.cmd], written.add)
        except TimeoutError:
            return None
        finally:
            for stream, lines in written.finished():
                self._site.logs.add(container, stream, lines, hook.path)


def _announcement(hook: Hook) -> bytes:
    return f"running {hook.title}: {hook.cmd}".encode()


def _outcome(code: int | None) -> str:
    return f"it did not end within {LONGEST:.0f} s" if code is None else f"exit code {code}"
