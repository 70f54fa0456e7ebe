"""Keeps a node's assignments and statuses in step with the database while its agent is attached."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import grpc

from services.clients.nodes import NodeDirectory
from services.clients.secrets import SecretResolver, SecretValue
from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.instance_status import InstanceStatus
from services.deploy_svc.store import instances
from services.deploy_svc.store.instances import Fingerprint
from services.deploy_svc.usecases.node_wakes import NodeWakes
from services.kernel.db import Database, translate_database_error
from services.kernel.errors import DomainError, Unavailable
from services.kernel.listen import Listener
from services.kernel.logs import get_logger
from services.kernel.principal import NodeSession

log = get_logger(__name__)

_RESYNC_SECONDS = 30.0
_RETRY_SECONDS = 1.0
_NOT_READABLE = "The secrets of this instance cannot be read at the moment"


class SessionEnded(DomainError):
    """The session of the agent is void: it must open a new one."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    http_status = 409
    reason = "SESSION_SUPERSEDED"


@dataclass(frozen=True, slots=True)
class Report:
    """A batch of observations; `sequence` grows within a session."""

    sequence: int
    statuses: Sequence[InstanceStatus]


@dataclass(frozen=True, slots=True)
class Assignment:
    """An instance as its node should run it. `error` says why it cannot be applied.

    `complete` is False for one that only keeps the node from removing the instance: its secrets come later.
    """

    instance: Instance
    secrets: tuple[tuple[str, SecretValue], ...] = ()
    error: str = ""
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All assignments of the node."""

    assignments: tuple[Assignment, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """Changed assignments, and ids of instances that are not on the node any more."""

    upserted: tuple[Assignment, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ack:
    """Reports up to this sequence are stored."""

    sequence: int


Outgoing = Snapshot | Delta | Ack


class Assignments:
    """What the servicer needs; `run` must be supervised for as long as nodes attach."""

    def __init__(self, db: Database, listener: Listener, secrets: SecretResolver, nodes: NodeDirectory) -> None:
        self._db = db
        self._secrets = secrets
        self._nodes = nodes
        self._wakes = NodeWakes(listener, nodes)

    async def run(self) -> None:
        """Pass changes of assignments on to the attached nodes."""
        await self._wakes.run()

    async def attach(self, session: NodeSession, reports: AsyncIterator[Report]) -> AsyncIterator[Outgoing]:
        """Snapshot first, then deltas and acknowledgements until the agent ends its side. Raises SessionEnded."""
        await self._require_current(session)
        queue: asyncio.Queue[Outgoing | asyncio.Task[None]] = asyncio.Queue()
        with self._wakes.watch(session.node_id) as wake:
            tasks = [
                asyncio.create_task(self._receive(session, reports, queue)),
                asyncio.create_task(self._follow(session, wake, queue)),
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

    async def _require_current(self, session: NodeSession, *, known: bool = False) -> bool:
        """Whether the node is known. A node that joined a moment ago may not be; one that was known is removed."""
        node = await self._nodes.by_id(session.node_id)
        if node is None and known:
            raise SessionEnded("The node was removed from its grid.", reason="NODE_REMOVED")
        if node is not None and node.session > session.number:
            raise SessionEnded("A newer session of this node is open.")
        return node is not None

    # Reports of the node.

    async def _receive(
        self,
        session: NodeSession,
        reports: AsyncIterator[Report],
        queue: "asyncio.Queue[Outgoing | asyncio.Task[None]]",
    ) -> None:
        async for report in reports:
            async with self._db.transaction() as tx:
                changed = await instances.store_report(
                    tx, session.node_id, session.number, report.sequence, report.statuses
                )
                await instances.notify_deploying(tx, changed)
            queue.put_nowait(Ack(report.sequence))
            # An agent that does not read what we send must not fill our memory.
            await queue.join()

    # Assignments for the node.

    async def _follow(
        self, session: NodeSession, wake: asyncio.Event, queue: "asyncio.Queue[Outgoing | asyncio.Task[None]]"
    ) -> None:
        sent: dict[str, Fingerprint | None] = {}
        first, known = True, False
        while True:
            wake.clear()
            known = await self._require_current(session, known=known)
            try:
                changed, removed, waiting = await self._changes(session, sent)
            except Exception as error:
                if translate_database_error(error) is None:
                    raise
                log.warning("assignments cannot be read", node_id=session.node_id, error=repr(error)[:300])
                await _pause(wake, _RETRY_SECONDS)
                continue
            if first:
                # What is not in the snapshot is removed, so those that wait for their secrets are in it as well.
                placeholders = tuple(Assignment(item, error=_NOT_READABLE, complete=False) for item in waiting)
                sent.update({item.id: None for item in waiting})
                queue.put_nowait(Snapshot((*changed, *placeholders)))
                first = False
            elif changed or removed:
                queue.put_nowait(Delta(changed, removed))
            await queue.join()
            await _pause(wake, _RETRY_SECONDS if waiting else _RESYNC_SECONDS)

    async def _changes(
        self, session: NodeSession, sent: dict[str, Fingerprint | None]
    ) -> tuple[tuple[Assignment, ...], tuple[str, ...], list[Instance]]:
        """What the node does not know yet, which instances left it, and which must wait for vault_svc.

        `sent` is brought up to date with what is returned to be sent.
        """
        async with self._db.read() as tx:
            current = await instances.fingerprints(tx, session.node_id)
            stale = [key for key, fingerprint in current.items() if sent.get(key) != fingerprint]
            rows = await instances.on_node(tx, session.node_id, stale) if stale else []
        removed = tuple(sorted(key for key in sent if key not in current))
        assignments, waiting = await self._complete(session.grid_id, rows)
        for key in removed:
            del sent[key]
        for assignment in assignments:
            sent[assignment.instance.id] = fingerprint_of(assignment.instance)
        return tuple(assignments), removed, waiting

    async def _complete(self, grid_id: str, rows: Sequence[Instance]) -> tuple[list[Assignment], list[Instance]]:
        """Assignments with their secrets, all resolved in one call; and the instances that must wait for them."""
        needing = {row.id: wanted for row in rows if (wanted := secret_refs(row))}
        names = {secret for wanted in needing.values() for _, secret in wanted}
        try:
            values = await self._secrets.resolve(grid_id, names) if names else {}
        except Unavailable as error:
            log.warning("secrets cannot be resolved", grid_id=grid_id, instances=len(needing), error=error.message)
            return [Assignment(row) for row in rows if row.id not in needing], [
                row for row in rows if row.id in needing
            ]
        assignments = []
        for row in rows:
            wanted = needing.get(row.id, [])
            missing = sorted({secret for _, secret in wanted if secret not in values})
            if missing:
                error_text = "; ".join(f"Secret {secret} does not exist" for secret in missing)
                assignments.append(Assignment(row, error=error_text))
            else:
                assignments.append(Assignment(row, tuple((name, values[secret]) for name, secret in wanted)))
        return assignments, []


def secret_refs(instance: Instance) -> list[tuple[str, str]]:
    """(variable, secret) in the order of the service. A stopped instance needs none, so it can stop without vault."""
    if instance.desired_state != "running" or instance.pod is None:
        return []
    return [(item["name"], item["secret"]) for item in instance.pod.get("secrets", ())]


def fingerprint_of(instance: Instance) -> Fingerprint:
    """What tells this assignment from another one of the same instance."""
    return Fingerprint(instance.desired_state, instance.deploy_rev or "", instance.service_revision, instance.restarts)


async def _pause(wake: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds * random.uniform(0.8, 1.2)):
            await wake.wait()
    except TimeoutError:
        return
