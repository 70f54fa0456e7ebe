"""What a step has patience with: nodes that may come back, instances that take their time."""

from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.rollout.draft import NODE_MISSING, Draft
from services.deploy_svc.domain.scheduling.snapshot import NodeView
from services.deploy_svc.domain.service_deploy import InstanceDeploy


class Waits:
    """Each answer that is about to change says when to look again."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def lost(self, rollout: InstanceDeploy) -> str | None:
        """Why the target node cannot finish the work; None while it can, or may come back in time."""
        draft = self._draft
        node = draft.nodes.get(rollout.node_id)
        if node is None:
            return f"{NODE_MISSING}: node {rollout.node} was removed"
        if node.connected:
            return None
        if node.offline_seconds >= draft.limits.offline:
            return f"{NODE_MISSING}: node {rollout.node} is not connected"
        draft.look_again(draft.limits.offline - node.offline_seconds)
        return None

    def may_return(self, node: NodeView | None) -> bool:
        """Whether the node was lost only moments ago: it is given the time to come back before anything is decided."""
        left = node.may_return(self._draft.limits.offline) if node is not None else 0.0
        if left > 0:
            self._draft.look_again(left)
        return left > 0

    def home_may_return(self, instance: Instance | None) -> bool:
        """The same of the node that the instance is on."""
        return instance is not None and self.may_return(self._draft.nodes.get(instance.node_id or ""))

    def may_change(self) -> bool:
        """Whether a node may soon be seen to fit: one comes back, or what somebody changed just before the deploy was
        asked for is still on its way here."""
        draft = self._draft
        left = draft.limits.news - (draft.now - draft.deploy.created_at).total_seconds()
        if left > 0:
            draft.look_again(left)
        return left > 0 or any(map(self.may_return, draft.nodes.values()))

    def timed_out(self, rollout: InstanceDeploy) -> bool:
        """Whether the instance has had the time that one may take."""
        draft = self._draft
        left = draft.limits.instance - (draft.now - rollout.started_at).total_seconds()
        if left > 0:
            draft.look_again(left)
        return left <= 0
