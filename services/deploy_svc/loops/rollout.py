"""Carries out deploys: wake, claim a service, load, decide, apply. Any replica continues any deploy."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from itertools import islice
from random import Random

import prometheus_client

from services.clients.grids import GridDirectory
from services.clients.nodes import NodeDirectory
from services.deploy_svc.clients import node_news
from services.deploy_svc.clients.node_news import News
from services.deploy_svc.domain import rollout_events
from services.deploy_svc.domain.rollout import next_step
from services.deploy_svc.domain.rollout_plan import Plan, Snapshot
from services.deploy_svc.loops.faults import is_rolled_back, passes
from services.deploy_svc.store import (
    event_logs,
    instances,
    reconciles,
    rollout_plans,
    rollout_snapshots,
    service_deploys,
)
from services.deploy_svc.store.tables import SERVICE_CHANGED
from services.deploy_svc.usecases.patience import Patience
from services.kernel.db import Database
from services.kernel.listen import Listener, drain
from services.kernel.logs import get_logger

log = get_logger(__name__)

# Services that are stepped together, which costs little more than one of them, and how many such groups at once.
_TOGETHER = 50
_AT_ONCE = 4
_POLL_SECONDS = 1.0
_SWEEP_SECONDS = 30.0
# Changes of a moment are handled together; about what a step takes.
_SETTLE_SECONDS, _STEP_SECONDS = 0.2, 0.01
# A service that was stepped rests for so long per instance, about what it takes to look at one. Nodes report them one
# by one, and each report would be another look at all of them.
_REST_SECONDS, _LONGEST_REST_SECONDS = 0.002, 1.0
_MOST_FAILURES = 3

_STEPS = prometheus_client.Counter("rollout_steps_total", "Rollout steps by outcome.", ["outcome"])
_SECONDS = prometheus_client.Histogram("rollout_step_seconds", "Time of one rollout step, database included.")


class RolloutLoop:
    """Steps the deploys of services whose state changed, those that wait together; polls for those whose time has
    come."""

    def __init__(
        self,
        db: Database,
        listener: Listener,
        nodes: NodeDirectory,
        grids: GridDirectory,
        patience: Patience,
    ) -> None:
        self._db = db
        self._listener = listener
        self._nodes = nodes
        self._views = patience.views
        self._grids = grids
        self._limits = patience.limits
        # In the order in which they were asked for, so that none waits for ever.
        self._wanted: dict[str, None] = {}
        self._running: set[str] = set()
        self._resting: set[str] = set()
        self._groups = 0
        self._failures: Counter[str] = Counter()
        self._work = asyncio.Event()
        self._changed_grids: set[str] = set()
        self._removed_nodes: set[str] = set()
        self._nodes_changed = asyncio.Event()
        node_news.follow(nodes, self._hear)

    async def run(self) -> None:
        """Work until cancelled; a failing step is retried or ends its deploy, it never ends the loop."""
        async with self._listener.subscribe(SERVICE_CHANGED) as wake, asyncio.TaskGroup() as tasks:
            self._running.clear()
            self._resting.clear()
            self._groups = 0
            tasks.create_task(self._listen(wake))
            tasks.create_task(self._poll())
            tasks.create_task(self._follow_nodes())
            tasks.create_task(self._sweep())
            await self._dispatch(tasks)

    # What wakes a service.

    async def _listen(self, wake: asyncio.Queue[str | None]) -> None:
        while True:
            # None means that notifications were lost; the poll finds what they were about.
            self._want(payload for payload in drain(wake, await wake.get()) if payload)

    async def _poll(self) -> None:
        while True:
            await self._guarded(self._want_due)
            await asyncio.sleep(_POLL_SECONDS)

    async def _want_due(self) -> None:
        async with self._db.read() as tx:
            self._want(await service_deploys.due(tx))

    def _hear(self, news: News) -> None:
        """A node that became worse is noticed soon enough by the deploys that it concerns."""
        if news.kind == "removed":
            self._removed_nodes.add(news.node_id)
        else:
            # It is there after all: what runs on it must not be forgotten for old news.
            self._removed_nodes.discard(news.node_id)
        if news.kind != "worse":
            self._changed_grids.add(news.grid_id)
            self._nodes_changed.set()

    async def _follow_nodes(self) -> None:
        while True:
            await self._nodes_changed.wait()
            self._nodes_changed.clear()
            if not await self._guarded(self.handle_node_changes):
                self._nodes_changed.set()
            # Many nodes that come at once are one change; and the more deploys it wakes, the longer the next one waits.
            await asyncio.sleep(_SETTLE_SECONDS + len(self._wanted) * _STEP_SECONDS)

    async def handle_node_changes(self) -> None:
        """Forget what ran on nodes that are gone, and look at the deploys that a change of nodes concerns."""
        async with self._db.transaction() as tx:
            removed, grids = set(self._removed_nodes), set(self._changed_grids)
            await reconciles.expedite_services(tx, await instances.forget_nodes(tx, removed))
            self._want(await service_deploys.deploying_in(tx, grids))
        self._removed_nodes -= removed
        self._changed_grids -= grids

    async def _sweep(self) -> None:
        """Removals of nodes that happened while nobody listened."""
        while True:
            await self._guarded(self._forget_unknown_nodes)
            await asyncio.sleep(_SWEEP_SECONDS)

    async def _forget_unknown_nodes(self) -> None:
        known = await self._nodes.all()
        async with self._db.transaction() as tx:
            await reconciles.expedite_services(tx, await instances.forget_unknown_nodes(tx, list(known)))

    async def _guarded(self, turn: Callable[[], Awaitable[None]]) -> bool:
        try:
            await turn()
        except Exception as error:
            log.warning("rollout turn failed", error=repr(error)[:500])
            return False
        return True

    # Stepping.

    def _want(self, service_ids: Iterable[str]) -> None:
        self._wanted.update(dict.fromkeys(service_ids))
        if self._wanted:
            self._work.set()

    async def _dispatch(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._groups < _AT_ONCE and (group := self._free()):
                for service_id in group:
                    del self._wanted[service_id]
                self._running.update(group)
                self._groups += 1
                tasks.create_task(self._step_group(group))

    def _free(self) -> list[str]:
        busy = self._running | self._resting
        return list(islice((wanted for wanted in self._wanted if wanted not in busy), _TOGETHER))

    def _rest(self, snapshot: Snapshot) -> None:
        """What is wanted of the service meanwhile is one step later."""
        seconds = min(_LONGEST_REST_SECONDS, len(snapshot.instances) * _REST_SECONDS)
        self._resting.add(snapshot.service.id)
        asyncio.get_running_loop().call_later(seconds, self._end_rest, snapshot.service.id)

    def _end_rest(self, service_id: str) -> None:
        self._resting.discard(service_id)
        if self._wanted:
            self._work.set()

    async def _step_group(self, service_ids: Sequence[str]) -> None:
        """Step them together; one by one those that need it, and all of them when that fails."""
        try:
            alone = service_ids if len(service_ids) == 1 else await self._step_together(service_ids)
            self._running.difference_update(set(service_ids) - set(alone))
            self._work.set()
            for service_id in alone:
                await self._step_guarded(service_id)
        finally:
            self._groups -= 1
            self._running.difference_update(service_ids)
            if self._wanted:
                self._work.set()

    async def _step_together(self, service_ids: Sequence[str]) -> Sequence[str]:
        started = time.perf_counter()
        try:
            alone = await self.step(*service_ids)
        except Exception as error:
            # Whose fault it is, the steps of each will show.
            log.info("rollout steps are repeated one by one", services=len(service_ids), error=repr(error)[:500])
            return service_ids
        done = set(service_ids) - set(alone)
        for service_id in done:
            self._failures.pop(service_id, None)
        _STEPS.labels("ok").inc(len(done))
        _SECONDS.observe(time.perf_counter() - started)
        return alone

    async def _step_guarded(self, service_id: str) -> None:
        started = time.perf_counter()
        outcome = "ok"
        try:
            await self.step(service_id)
            self._failures.pop(service_id, None)
        except Exception as error:
            outcome = "failed"
            log.warning("rollout step failed", service_id=service_id, error=repr(error)[:500])
            await self._count_failure(service_id, error)
            if is_rolled_back(error):
                self._want([service_id])
        finally:
            _STEPS.labels(outcome).inc()
            _SECONDS.observe(time.perf_counter() - started)
            self._running.discard(service_id)

    async def step(self, *service_ids: str) -> Sequence[str]:
        """One step of each service's oldest unfinished deploy, in one transaction; nothing of those without one, or
        that another replica has. Returns the services that have to be stepped alone."""
        await self._nodes.all()
        grids = await self._grids.informer.items()
        async with self._db.transaction() as tx:
            claims = await service_deploys.claim(tx, service_ids)
            if not claims:
                return ()
            grid_id = claims[0].service.grid_id
            others = [claim.service.id for claim in claims if claim.service.grid_id != grid_id]
            own = [claim for claim in claims if claim.service.grid_id == grid_id]
            grid, nodes = grids.get(grid_id), await self._views.in_grid(grid_id)
            found = await rollout_snapshots.load(tx, own, nodes, grid.default_affinity if grid else ())
            steps = [(snapshot, self._next_step(snapshot, own[0].now)) for snapshot in found.snapshots]
            await rollout_plans.apply(tx, steps)
            # Last: it holds a lock of the whole grid until the transaction ends.
            await event_logs.record(tx, *(event for step in steps for event in rollout_events.events(*step)))
        for snapshot in found.snapshots:
            self._rest(snapshot)
        self._want(others)
        return found.alone

    def _next_step(self, snapshot: Snapshot, now: datetime) -> Plan:
        # Any replica draws the same numbers for the same instance.
        deploy_id = snapshot.deploys[0].id if snapshot.deploys else ""
        return next_step(snapshot, now, self._limits, lambda number: Random(f"{deploy_id}-{number}"))

    async def _count_failure(self, service_id: str, error: Exception) -> None:
        """Every deploy ends: one whose steps fail again and again for no outside reason ends with an error."""
        if not passes(error):
            self._failures[service_id] += 1
        if self._failures[service_id] >= _MOST_FAILURES:
            del self._failures[service_id]
            await self._guarded(lambda: self._end_broken(service_id))

    async def _end_broken(self, service_id: str) -> None:
        async with self._db.transaction() as tx:
            await service_deploys.end_broken(tx, service_id, "Aborted: internal error, see the log of deploy_svc")
