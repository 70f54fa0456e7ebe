"""Keeps a node's assignments and statuses in step with the database while its agent is attached."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from services.clients.nodes import Node, NodeDirectory
from services.deploy_svc.domain.instance_status import InstanceStatus
from services.deploy_svc.store import hook_runs, instances
from services.deploy_svc.store.tables import NODE_CHANGED
from services.deploy_svc.usecases.assignment_feed import VALUES_SECONDS, AssignmentFeed, Delta, Snapshot
from services.deploy_svc.usecases.current_session import require_current
from services.deploy_svc.usecases.pod_values import PodValues
from services.kernel.database_errors import translate_database_error
from services.kernel.db import Database
from services.kernel.informer import Change, Synced
from services.kernel.listen import Listener, Wakes
from services.kernel.logs import get_logger
from services.kernel.principal import NodeSession

log = get_logger(__name__)

# For what nobody knows of: changes wake, and so does a connection that may have missed some. Each look is a statement,
# and a large grid has a thousand of these.
_RESYNC_SECONDS = 120.0
_RETRY_SECONDS = 1.0
_UNSURE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Report:
    """A batch of observations; `sequence` grows within a session."""

    sequence: int
    statuses: Sequence[InstanceStatus]


@dataclass(frozen=True, slots=True)
class HooksStarted:
    """One-shot hooks are about to run on the node."""

    sequence: int
    instance_id: str
    hook_ids: Sequence[str]
    attempt: str


@dataclass(frozen=True, slots=True)
class Ack:
    """Reports up to this sequence are stored."""

    sequence: int


@dataclass(frozen=True, slots=True)
class HooksAck:
    """Only these of the hooks may run."""

    sequence: int
    run: tuple[str, ...]


Outgoing = Snapshot | Delta | Ack | HooksAck
Incoming = Report | HooksStarted


class Assignments:
    """What the servicer needs; `run` must be supervised for as long as nodes attach. An instance whose values are not
    known after `patience` seconds has that as its error."""

    def __init__(
        self,
        db: Database,
        listener: Listener,
        values: PodValues,
        nodes: NodeDirectory,
        patience: float = VALUES_SECONDS,
    ) -> None:
        self._db = db
        self._patience = patience
        self._values = values
        self._nodes = nodes
        self._wakes = Wakes(listener, NODE_CHANGED)
        nodes.informer.on_change(self._observe)

    async def run(self) -> None:
        """Pass changes of assignments on to the attached nodes."""
        await self._wakes.run()

    def _observe(self, change: Change[Node]) -> None:
        if not isinstance(change, Synced):
            self._wakes.wake(change.key)

    async def attach(self, session: NodeSession, messages: AsyncIterator[Incoming]) -> AsyncIterator[Outgoing]:
        """Snapshot first, then deltas and acknowledgements until the agent ends its side. Raises SessionEnded."""
        await require_current(self._nodes, session)
        queue: asyncio.Queue[Outgoing | asyncio.Task[None]] = asyncio.Queue()
        begun = asyncio.Event()
        with self._wakes.subscribe(session.node_id) as wake:
            tasks = [
                asyncio.create_task(self._receive(session, messages, queue, begun)),
                asyncio.create_task(self._follow(session, wake, queue, begun)),
            ]
            for task in tasks:
                task.add_done_callback(queue.put_nowait)
            try:
                while not isinstance(item := await queue.get(), asyncio.Task):
                    yield item
                    queue.task_done()
                item.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    # Reports of the node.

    async def _receive(
        self,
        session: NodeSession,
        messages: AsyncIterator[Incoming],
        queue: "asyncio.Queue[Outgoing | asyncio.Task[None]]",
        begun: asyncio.Event,
    ) -> None:
        # An agent that comes back reports at once; no answer may overtake the snapshot, which may take a while.
        await begun.wait()
        async for message in messages:
            if isinstance(message, HooksStarted):
                queue.put_nowait(await self._note_hooks(session, message))
            else:
                queue.put_nowait(await self._store(session, message))
            # An agent that does not read what we send must not fill our memory.
            await queue.join()

    async def _store(self, session: NodeSession, report: Report) -> Ack:
        await require_current(self._nodes, session)
        async with self._db.read() as tx:
            await instances.store_report(tx, session.node_id, session.number, report.sequence, report.statuses)
        return Ack(report.sequence)

    async def _note_hooks(self, session: NodeSession, hooks: HooksStarted) -> HooksAck:
        """A node that was superseded runs no hooks: its successor may run them now."""
        await require_current(self._nodes, session)
        async with self._db.transaction() as tx:
            run = await hook_runs.begin(tx, session.node_id, hooks.instance_id, hooks.hook_ids, hooks.attempt)
        return HooksAck(hooks.sequence, tuple(run))

    # Assignments for the node.

    async def _follow(
        self,
        session: NodeSession,
        wake: asyncio.Event,
        queue: "asyncio.Queue[Outgoing | asyncio.Task[None]]",
        begun: asyncio.Event,
    ) -> None:
        feed = AssignmentFeed(self._db, self._values, session, wake.set, self._patience)
        try:
            while True:
                wake.clear()
                await require_current(self._nodes, session)
                try:
                    message = await feed.turn()
                except Exception as error:
                    if translate_database_error(error) is None:
                        raise
                    log.warning("assignments cannot be read", node_id=session.node_id, error=repr(error)[:300])
                    await _pause(wake, _RETRY_SECONDS)
                    continue
                if message is not None:
                    queue.put_nowait(message)
                begun.set()
                await queue.join()
                await _pause(wake, _pause_after(feed))
        finally:
            await feed.close()


def _pause_after(feed: AssignmentFeed) -> float:
    if feed.waiting:
        return _RETRY_SECONDS
    return _UNSURE_SECONDS if feed.unsure else _RESYNC_SECONDS


async def _pause(wake: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds * random.uniform(0.8, 1.2)):
            await wake.wait()
    except TimeoutError:
        return
