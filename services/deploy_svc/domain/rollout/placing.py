"""Which instance comes next, and where it goes."""

from collections.abc import Callable, Sequence
from itertools import islice
from random import Random

from services.deploy_svc.domain import pod
from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.rollout.draft import Draft
from services.deploy_svc.domain.rollout.waits import Waits
from services.deploy_svc.domain.rollout_plan import Place, Run, StopOnOldNode
from services.deploy_svc.domain.scheduling.explain import CannotPlace
from services.deploy_svc.domain.scheduling.snapshot import NodeView
from services.deploy_svc.domain.service_deploy import InstanceDeploy

# Random source for an instance number, the same one whichever replica asks; None breaks ties by node number.
Chance = Callable[[int], Random] | None


class Placing:
    """Puts instances on nodes."""

    def __init__(self, draft: Draft, waits: Waits, chance: Chance) -> None:
        self._draft = draft
        self._waits = waits
        self._chance = chance

    def pending(self) -> Sequence[int]:
        """The instances that may come next: the next number, or any of those that a rebalance has not moved yet."""
        draft = self._draft
        if draft.deploy.moves is not None:
            return [
                number for number in sorted(draft.deploy.moves.keys() & draft.instances) if number not in draft.rollouts
            ]
        left = (number for number in draft.numbers() if number not in draft.rollouts)
        return list(islice(left, 1))

    def place_one(self, pending: Sequence[int]) -> CannotPlace | None:
        """Place the first of them that can be; why the first one cannot, when none can. What moves may have to wait for
        another one to make room."""
        first: CannotPlace | None = None
        for number in pending:
            try:
                self._place(number)
            except CannotPlace as error:
                first = first or error
            else:
                return None
        return first

    def _place(self, number: int) -> None:
        draft = self._draft
        node = self._chosen(number)
        instance = draft.instances.get(number)
        draft.actions.append(Place(draft.deploy.id, number, len(draft.rollouts), node.id, node.name))
        rollout = InstanceDeploy(number, node.id, node.name, "ongoing", None, draft.now)
        draft.rollouts[number] = rollout
        draft.scheduler.reserve(node.id, number)
        old = draft.nodes.get(instance.node_id or "") if instance is not None else None
        if old is None or old.id == node.id or not old.connected:
            self.run(rollout)
        else:
            draft.actions.append(StopOnOldNode(number, draft.deploy_rev))
            self._waits.timed_out(rollout)

    def _chosen(self, number: int) -> NodeView:
        draft = self._draft
        if draft.deploy.moves is not None:
            return draft.scheduler.put(number, draft.deploy.moves[number])
        return draft.scheduler.schedule(number, self._chance(number) if self._chance else None)

    def run(self, rollout: InstanceDeploy) -> None:
        """The instance runs on the node of its rollout from now on."""
        draft = self._draft
        number = rollout.instance_number
        built = pod.build(draft.service, number, rollout.node)
        revision = self._revision_of(draft.instances.get(number))
        draft.actions.append(Run(draft.deploy.id, number, rollout.node_id, draft.deploy_rev, revision, built))
        draft.look_again(draft.limits.instance)

    def _revision_of(self, instance: Instance | None) -> int:
        """What decides whether the node recreates the container: only if the one it has is of a smaller revision.

        A rollback must recreate what the failed deploy changed, and leave alone what still runs as it did before.
        """
        draft = self._draft
        if draft.deploy.revision is None or draft.good is None:
            return draft.service.revision
        if instance is not None:
            settled = instance.rev is not None and instance.rev == instance.deploy_rev
            same = instance.container_id is not None and instance.container_id == instance.good_container_id
            if instance.service_revision == draft.good.revision or (settled and same):
                return draft.good.revision
        return draft.deploy.revision
