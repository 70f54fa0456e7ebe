"""One step of the oldest deploy of a service.

A step may be repeated at any time by any replica: everything it needs to know is in the snapshot.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.deploy_svc.domain.rollout.deploy_rev import new_rev
from services.deploy_svc.domain.rollout.draft import Draft
from services.deploy_svc.domain.rollout.ending import Ending
from services.deploy_svc.domain.rollout.in_flight import has_room
from services.deploy_svc.domain.rollout.keeping import keep_what_is_well
from services.deploy_svc.domain.rollout.placing import Chance, Placing
from services.deploy_svc.domain.rollout.settling import Settling
from services.deploy_svc.domain.rollout.waits import Waits
from services.deploy_svc.domain.rollout_plan import Limits, Plan, Snapshot, Start


def next_step(snapshot: Snapshot, now: datetime, limits: Limits | None = None, chance: Chance = None) -> Plan:
    """What the oldest unfinished deploy of the service needs now. Later ones wait for it."""
    limits = limits or Limits()
    if not snapshot.deploys:
        return Plan((), now + timedelta(seconds=limits.recheck))
    return _Step(snapshot, now, limits, chance).plan()


class _Step:
    """Begins the deploy, goes on with it, or ends it."""

    def __init__(self, snapshot: Snapshot, now: datetime, limits: Limits, chance: Chance) -> None:
        self._draft = Draft(snapshot, now, limits)
        self._waits = Waits(self._draft)
        self._placing = Placing(self._draft, self._waits, chance)
        self._settling = Settling(self._draft, self._waits, self._placing)
        self._ending = Ending(self._draft)

    def plan(self) -> Plan:
        draft = self._draft
        begins = draft.deploy.started_at is None
        if begins:
            if draft.service.state != "running":
                self._ending.finish(f"Aborted: the service {draft.service.path} is not running")
                return draft.plan()
            if any(map(self._waits.home_may_return, draft.instances.values())) or not self._start():
                return draft.plan()
        for rollout in list(draft.rollouts.values()):
            if rollout.state == "ongoing":
                self._settling.settle(rollout)
        if draft.service.state != "running" and not draft.complete():
            self._ending.abandon()
            return draft.plan()
        if begins or self._next():
            # In a grid with many nodes it costs more than all the rest of a step that only hears of successes.
            draft.prepare_scheduler()
        if begins:
            keep_what_is_well(draft)
        self._advance()
        return draft.plan()

    def _start(self) -> bool:
        """Fix revision and total, drop what is too many. False when the deploy ended at once, or has to wait."""
        draft = self._draft
        draft.prepare_scheduler()
        rev = new_rev(draft.now, draft.last_rev)
        wanted = draft.scheduler.numbers() if draft.deploy.moves is None else self._placing.pending()
        total = len(wanted)
        hopeless = draft.deploy.moves is None and total == 0 and draft.service.spec.instances > 0
        if hopeless and self._waits.may_change():
            return False
        # A deploy that cannot place anything takes nothing away either.
        keeps = hopeless or draft.deploy.moves is not None
        surplus = () if keeps else tuple(sorted(draft.instances.keys() - set(wanted)))
        draft.actions.append(Start(draft.deploy.id, rev, total, surplus))
        draft.deploy = replace(draft.deploy, state="ongoing", deploy_rev=rev, total=total, started_at=draft.now)
        for number in surplus:
            del draft.instances[number]
        if hopeless:
            self._ending.cannot_place(1, str(draft.scheduler.why_none()))
        return not hopeless

    def _advance(self) -> None:
        """Place as many instances as may be in transition at once; end the deploy when nothing is left to wait for."""
        draft = self._draft
        failure = self._ending.failure()
        while failure is None and (pending := self._next()):
            if self._waits.home_may_return(draft.instances.get(pending[0])):
                return
            refused = self._placing.place_one(pending)
            if refused is not None:
                # What is in transition may free what is missing, and a node may come back: only then this is final.
                if not draft.ongoing() and not self._waits.may_change():
                    self._ending.cannot_place(pending[0], str(refused))
                return
        if not draft.ongoing() and (failure is not None or len(draft.rollouts) >= draft.total):
            self._ending.finish(failure)

    def _next(self) -> Sequence[int]:
        """The instances of which one may come next, none while as many are in transition as may be."""
        draft, pending = self._draft, self._placing.pending()
        total = draft.total if draft.deploy.moves is None else len(draft.instances)
        return pending if pending and has_room(draft, pending[0], total) else ()
