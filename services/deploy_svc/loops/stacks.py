"""Carries out deploys and removals of stacks: wake, claim, load, decide, apply. Any replica continues any of them."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

from services.clients.nodes import NodeDirectory
from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.stack_rollout import Finish, Limits, next_removal, next_step
from services.deploy_svc.loops.faults import passes
from services.deploy_svc.store import instances, services, stack_deploys
from services.deploy_svc.store.stack_tables import STACK_CHANGED
from services.deploy_svc.store.tables import DEPLOY_ENDED
from services.deploy_svc.usecases.stack_checks import foreign_linkers
from services.kernel.db import Database, Tx
from services.kernel.listen import Listener, drain
from services.kernel.logs import get_logger

log = get_logger(__name__)

_POLL_SECONDS = 1.0
_MOST_FAILURES = 3
_REMOVAL_SECONDS = 0.25


class StackLoop:
    """Steps what is due; each step is one short transaction that holds the row of its deploy or stack."""

    def __init__(self, db: Database, listener: Listener, nodes: NodeDirectory) -> None:
        self._db = db
        self._listener = listener
        self._nodes = nodes
        self._limits = Limits()
        self._failures: Counter[str] = Counter()

    async def run(self) -> None:
        """Work until cancelled; a failing step is retried or ends its deploy, it never ends the loop."""
        async with self._listener.subscribe(STACK_CHANGED, DEPLOY_ENDED) as wake:
            pause = 0.0
            while True:
                pause = await self.turn(frozenset(await _woken(wake, pause)))

    async def turn(self, service_ids: frozenset[str] = frozenset()) -> float:
        """Step every deploy and removal whose time has come, or that waits for one of the services.

        Returns the seconds after which to look again.
        """
        async with self._db.read() as tx:
            deploys = await stack_deploys.due(tx, service_ids)
            removals = await stack_deploys.removals(tx)
        for deploy_id in deploys:
            await self._guarded(deploy_id, self.step, self._end_broken)
        for stack_id, ready in removals.items():
            if ready:
                await self._guarded(stack_id, self.remove, None)
        return _REMOVAL_SECONDS if removals else _POLL_SECONDS

    async def step(self, deploy_id: str) -> None:
        """One step of a deploy; nothing if it ended or another replica has it."""
        async with self._db.transaction() as tx:
            claim = await stack_deploys.claim(tx, deploy_id)
            if claim is not None:
                plan = next_step(await stack_deploys.load(tx, claim), claim.now, self._limits)
                await stack_deploys.apply(tx, claim, plan)

    async def remove(self, stack_id: str) -> None:
        """The steps of a removal until one has to wait; nothing if another replica has it."""
        while await self._remove_step(stack_id):
            pass

    async def _remove_step(self, stack_id: str) -> bool:
        """Stop and delete the services whose turn it is, or delete the stack when it has none; returns whether to go on
        at once."""
        connected = frozenset(key for key, node in (await self._nodes.all()).items() if node.connected)
        async with self._db.transaction() as tx:
            claimed = await stack_deploys.claim_removal(tx, stack_id, connected)
            if claimed is None:
                return False
            removal, now = claimed
            plan = next_removal(removal, now, self._limits)
            if plan.over:
                await stack_deploys.delete_stack(tx, stack_id)
                return False
            await services.lock_all(tx, [service.id for service in (*plan.stop, *plan.delete)])
            for service in plan.stop:
                await services.set_state(tx, service.id, "stopped")
                await instances.set_desired_state(tx, service.id, "stopped")
            deleted = [service for service in plan.delete if await self._delete(tx, service)]
            if plan.stop or deleted:
                return True
            # Somebody may link to one since the removal was asked for: the stack stays until that is over.
            pause = self._limits.recheck if plan.delete else _REMOVAL_SECONDS
            await stack_deploys.look_again(tx, stack_id, now + timedelta(seconds=pause))
            return False

    async def _delete(self, tx: Tx, service: Service) -> bool:
        await services.lock_for_deletion(tx, service.id)
        if linkers := await foreign_linkers(tx, service):
            log.warning("a service of a removed stack is linked to", service=service.path, linkers=linkers)
            return False
        await instances.notify_nodes(tx, service.id)
        await services.delete(tx, service.id)
        return True

    async def _guarded(
        self, key: str, step: Callable[[str], Awaitable[None]], give_up: Callable[[str], Awaitable[None]] | None
    ) -> None:
        try:
            await step(key)
            self._failures.pop(key, None)
        except Exception as error:
            log.warning("stack step failed", id=key, error=repr(error)[:500])
            # Every deploy ends: one whose steps fail again and again for no outside reason ends with an error.
            self._failures[key] += 0 if passes(error) else 1
            if give_up is not None and self._failures[key] >= _MOST_FAILURES:
                del self._failures[key]
                await give_up(key)

    async def _end_broken(self, deploy_id: str) -> None:
        async with self._db.transaction() as tx:
            reason = "Aborted: internal error, see the log of deploy_svc"
            await stack_deploys.end(tx, deploy_id, Finish("error", reason))


async def _woken(wake: asyncio.Queue[str | None], seconds: float) -> set[str]:
    """The payloads that arrived; nothing when the time to poll has come first."""
    try:
        async with asyncio.timeout(seconds):
            return {payload for payload in drain(wake, await wake.get()) if payload}
    except TimeoutError:
        return set()
