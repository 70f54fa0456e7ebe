"""Keeps services as they were deployed while nodes come and go; see domain/reconcile.py for the rules."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import prometheus_client

from services.clients.grids import Grid, GridDirectory
from services.clients.nodes import NodeDirectory
from services.deploy_svc.clients import node_news
from services.deploy_svc.clients.node_news import News
from services.deploy_svc.domain.reconcile import Case, Decision, Redeploy, Resume, assess
from services.deploy_svc.domain.rollout_events import about_service
from services.deploy_svc.domain.scheduling.affinity_rule import names_instances
from services.deploy_svc.store import event_logs, reconciles
from services.deploy_svc.store.placement_facts import memory_need
from services.deploy_svc.store.reconciles import Subject
from services.deploy_svc.usecases.patience import Patience
from services.kernel.db import Database, Tx
from services.kernel.informer import Change, Upsert
from services.kernel.logs import get_logger

log = get_logger(__name__)

_AT_ONCE = 200
# Changes of a moment are looked at together.
_SETTLE_SECONDS = 0.2
# After a turn, changes of nodes wait for so many times what it took, but not longer than this.
_REST, _LONGEST_REST = 3.0, 10.0

_DECISIONS = prometheus_client.Counter("reconcile_decisions_total", "Decisions of the reconcile loop.", ["decision"])


class ReconcileLoop:
    """Looks at every running service each `period` seconds, and at once at those that a change of nodes or of the rules
    of their grid concerns.

    Any number of replicas run it; each claims a part of the services at a time.
    """

    def __init__(
        self,
        db: Database,
        nodes: NodeDirectory,
        grids: GridDirectory,
        patience: Patience,
        *,
        period: float = 20.0,
    ) -> None:
        self._db = db
        self._nodes = nodes
        self._grids = grids
        self._period = period
        self._pace = patience.pace
        self._views = patience.views
        # Nodes, and grids, that changed since their services were looked at.
        self._worse: set[str] = set()
        self._better: set[str] = set()
        self._usable: set[str] = set()
        self._ruled: set[str] = set()
        self._rules: dict[str, tuple[str, ...]] = {}
        self._rest_until = 0.0
        self.wake = asyncio.Event()
        node_news.follow(nodes, self._hear)
        grids.informer.on_change(self._observe_grid)

    @property
    def poll_seconds(self) -> float:
        """How often to ask for services whose check is due."""
        return self._period / 4

    async def turn(self) -> None:
        """Look at everything that is due. Raises when the database or the nodes are not known: nothing is decided."""
        await self._nodes.all()
        clock = asyncio.get_running_loop().time
        if self._worse or self._better or self._ruled:
            await asyncio.sleep(_SETTLE_SECONDS)
            if clock() >= self._rest_until:
                await self._expedite()
        started = clock()
        while True:
            async with self._db.transaction() as tx:
                claimed = await reconciles.claim(tx, self._period, _AT_ONCE)
            if claimed:
                await self._look_at(claimed)
            if len(claimed) < _AT_ONCE:
                break
        # Nodes that change all the time keep the loop busy for a part of the time only.
        self._rest_until = clock() + min(_REST * (clock() - started), _LONGEST_REST)

    async def _expedite(self) -> None:
        worse, better, usable, ruled = set(self._worse), set(self._better), set(self._usable), set(self._ruled)
        async with self._db.transaction() as tx:
            await reconciles.expedite(tx, nodes=worse | better, usable=usable, ruled=ruled)
        self._worse -= worse
        self._better -= better
        self._usable -= usable
        self._ruled -= ruled

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

    def _hear(self, news: News) -> None:
        if news.kind == "worse":
            self._worse.add(news.node_id)
        else:
            # Instances of a removed node are nowhere, so they want another one.
            self._better.add(news.node_id)
            self._usable.add(news.grid_id)
        self.wake.set()

    def _observe_grid(self, change: Change[Grid]) -> None:
        if isinstance(change, Upsert) and self._rules.get(change.key) != change.item.default_affinity:
            self._rules[change.key] = change.item.default_affinity
            self._ruled.add(change.key)
            self.wake.set()
