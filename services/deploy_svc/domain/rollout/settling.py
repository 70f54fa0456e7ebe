"""Instances in transition: which have come to an end."""

from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.rollout.draft import SERVICE_ERROR, STATE_ERROR, TIMEOUT, Draft
from services.deploy_svc.domain.rollout.placing import Placing
from services.deploy_svc.domain.rollout.waits import Waits
from services.deploy_svc.domain.service_deploy import InstanceDeploy


class Settling:
    """Reads what nodes reported."""

    def __init__(self, draft: Draft, waits: Waits, placing: Placing) -> None:
        self._draft = draft
        self._waits = waits
        self._placing = placing

    def settle(self, rollout: InstanceDeploy) -> None:
        """Mark the rollout when it has ended, and let the instance run on its new node once the old one is done."""
        instance = self._draft.instances.get(rollout.instance_number)
        if instance is None:
            self._draft.mark(rollout, f"{STATE_ERROR}: the instance was removed")
        elif instance.node_id != rollout.node_id:
            self._settle_move(rollout, instance)
        else:
            self._settle_apply(rollout, instance)

    def _settle_move(self, rollout: InstanceDeploy, instance: Instance) -> None:
        """Go on to the new node once the old one stopped the instance, or cannot tell, or takes too long."""
        draft = self._draft
        old = draft.nodes.get(instance.node_id or "")
        stopped = instance.rev is not None and instance.rev >= draft.deploy_rev
        if not stopped and old is not None and old.connected and not self._waits.timed_out(rollout):
            return
        lost = self._waits.lost(rollout)
        if lost is not None:
            draft.mark(rollout, lost)
            return
        if draft.nodes[rollout.node_id].connected:
            self._placing.run(rollout)

    def _settle_apply(self, rollout: InstanceDeploy, instance: Instance) -> None:
        draft = self._draft
        if instance.rev is not None and instance.rev >= draft.deploy_rev:
            draft.mark(rollout, self._outcome(instance))
        elif instance.deploy_rev is not None and instance.deploy_rev > draft.deploy_rev:
            draft.mark(rollout, f"{STATE_ERROR}: superseded by a later deploy")
        elif instance.desired_state != "running":
            if draft.service.state == "running":
                draft.mark(rollout, f"{STATE_ERROR}: the desired state changed to {instance.desired_state}")
        elif (lost := self._waits.lost(rollout)) is not None:
            draft.mark(rollout, lost)
        elif self._waits.timed_out(rollout):
            draft.mark(rollout, f"{TIMEOUT}: no confirmation within {draft.limits.instance:.0f} seconds")

    def _outcome(self, instance: Instance) -> str | None:
        """The error of an instance whose node reported, None when all is well."""
        if instance.error:
            return f"{SERVICE_ERROR}: {instance.error}"
        if instance.rev is not None and instance.rev > self._draft.deploy_rev:
            return f"{STATE_ERROR}: superseded by a later deploy"
        if instance.state == "stopped":
            return (
                f"{STATE_ERROR}: the container ended by itself right after its start; "
                "the logs of the instance tell more"
            )
        if instance.state != "running":
            return f"{STATE_ERROR}: the instance is {instance.state}, not running"
        return None
