"""Keeps services as they were deployed while nodes come and go; see domain/reconcile.py for the rules."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import prometheus_client

from services.clients.grids import Grid, GridDirectory
from services.clients.nodes import Node, NodeDirectory
from services.deploy_svc.domain.reconcile import Case, Decision, Pace, Redeploy, Resume, assess
from services.deploy_svc.domain.rollout_events import about_service
from services.deploy_svc.domain.scheduling.affinity_rule import names_instances
from services.deploy_svc.store import event_logs, reconciles
from services.deploy_svc.store.placement_facts import memory_need
from services.deploy_svc.store.reconciles import Subject
from services.deploy_svc.usecases.node_views import MISTRUST_SECONDS, NodeViews
from services.kernel.db import Database, Tx
from services.kernel.informer import Change, Delete, Synced, Upsert
from services.kernel.logs import get_logger

log = get_logger(__name__)

_AT_ONCE = 50
# Changes of a moment are looked at together.
_SETTLE_SECONDS = 0.2

_DECISIONS = prometheus_client.Counter("reconcile_decisions_total", "Decisions of the reconcile loop.", ["decision"])


class ReconcileLoop:
    """Looks at every running service each `period` seconds, and at those of a grid when its nodes or rules changed.

    Any number of replicas run it; each claims a part of the services at a time.
    """

    def __init__(
        self,
        db: Database,
        nodes: NodeDirectory,
        grids: GridDirectory,
        *,
        period: float = 20.0,
        pace: Pace | None = None,
    ) -> None:
        self._db = db
        self._nodes = nodes
        self._grids = grids
        self._period = period
        self._pace = pace or Pace()
        self._views = NodeViews(nodes, MISTRUST_SECONDS * self._pace.grace)
        self._changed: set[str] = set()
        self._seen: dict[str, tuple[object, ...]] = {}
        self.wake = asyncio.Event()
        nodes.informer.on_change(self._observe_node)
        grids.informer.on_change(self._observe_grid)

    @property
    def poll_seconds(self) -> float:
        """How often to ask for services whose check is due."""
        return self._period / 4

    async def turn(self) -> None:
        """Look at everything that is due. Raises when the database or the nodes are not known: nothing is decided."""
        await self._nodes.all()
        if self._changed:
            await asyncio.sleep(_SETTLE_SECONDS)
            await self._expedite()
        while True:
            async with self._db.transaction() as tx:
                claimed = await reconciles.claim(tx, self._period, _AT_ONCE)
            if claimed:
                await self._look_at(claimed)
            if len(claimed) < _AT_ONCE:
                return

    async def _expedite(self) -> None:
        changed = set(self._changed)
        async with self._db.transaction() as tx:
            await reconciles.expedite(tx, changed)
        self._changed -= changed

    async def _look_at(self, service_ids: Sequence[str]) -> None:
        grids = await self._grids.informer.items()
        defaults = {key: grid.default_affinity for key, grid in grids.items()}
        waits: dict[str, float] = {}
        async with self._db.read() as tx:
            world = await reconciles.load(tx, service_ids, defaults)
            ready = {
                grid_id: await reconciles.with_nodes(tx, grid_id, subjects, await self._views.in_grid(grid_id))
                for grid_id, subjects in world.by_grid.items()
            }
        for subjects in ready.values():
            moving = False
            for subject in subjects:
                # What runs where is about to change, so rules about it are looked at next time.
                if moving and names_instances(subject.case.affinity):
                    waits[subject.wanted.id] = self._period / 2
                    continue
                decision = await self._decide(subject.case, world.now)
                await self._apply(subject, decision)
                moving = moving or (isinstance(decision, Redeploy) and names_instances(subject.case.affinity))
                wait = getattr(decision, "seconds", None)
                if wait is not None:
                    waits[subject.wanted.id] = wait + 0.05
                await asyncio.sleep(0)
        async with self._db.transaction() as tx:
            await reconciles.sooner(tx, waits)

    async def _decide(self, case: Case, now: datetime) -> Decision:
        decision = assess(case, now, self._pace)
        if not isinstance(decision, Redeploy) or decision.situation is None:
            return decision
        # What its containers used decides as well where they go; it is asked for only when it matters.
        async with self._db.read() as tx:
            need = await memory_need(tx, case.service)
        return assess(replace(case, memory_need=need), now, self._pace) if need else decision

    async def _apply(self, subject: Subject, decision: Decision) -> None:
        """One service that cannot be changed must not keep the others from being looked at."""
        if not isinstance(decision, Redeploy | Resume):
            return
        try:
            async with self._db.transaction() as tx:
                done = await self._write(tx, subject, decision)
        except Exception as error:
            log.warning("service cannot be reconciled", service=subject.wanted.path, error=repr(error)[:500])
            return
        if done:
            _DECISIONS.labels(type(decision).__name__.lower()).inc()
            log.info("service reconciled", service=subject.wanted.path, decision=str(decision))

    async def _write(self, tx: Tx, subject: Subject, decision: Redeploy | Resume) -> bool:
        if isinstance(decision, Redeploy):
            done = await reconciles.redeploy(tx, subject, decision.situation, force=decision.force)
            if done:
                # Last: it holds a lock of the whole grid until the transaction ends.
                await event_logs.record(tx, about_service(subject.wanted, "scheduler", decision.why))
            return done
        stopped = await reconciles.set_desired(tx, subject, decision.stop, "stopped")
        return await reconciles.set_desired(tx, subject, decision.start, "running") or stopped

    # Nodes.

    def _observe_node(self, change: Change[Node]) -> None:
        match change:
            case Upsert(key, node):
                facts = (node.grid_id, node.connected, node.availability, node.labels)
                if self._seen.get(key) == facts:
                    return
                self._seen[key] = facts
                self._note(node.grid_id)
            case Delete(key):
                self._note(str(self._seen.pop(key, ("",))[0]))
            case Synced():
                pass

    def _observe_grid(self, change: Change[Grid]) -> None:
        if isinstance(change, Upsert) and self._seen.get(change.key) != (change.item.default_affinity,):
            self._seen[change.key] = (change.item.default_affinity,)
            self._note(change.key)

    def _note(self, grid_id: str) -> None:
        self._changed.add(grid_id)
        self.wake.set()
