"""How a deploy ends."""

from services.deploy_svc.domain.rollout.draft import STATE_ERROR, Draft
from services.deploy_svc.domain.rollout_plan import Finish, RollBack, Unplaced
from services.deploy_svc.domain.scheduling.snapshot import HOLLOW


class Ending:
    """Says why, and whether what was before comes back."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def failure(self) -> str | None:
        """Why no further instance begins; None while all is well."""
        draft = self._draft
        failed = [item for item in draft.rollouts.values() if item.state == "error"]
        if failed:
            first, path = failed[0], draft.service.path
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            where = f" on node {first.node}" if first.node else ""
            return (
                f"halting deploy of {path}, one or more instances failed: "
                f"{path}-{first.instance_number}{where}: {first.error}{more}"
            )
        started = draft.deploy.started_at or draft.now
        if (draft.now - started).total_seconds() >= draft.limits.deploy and not draft.complete():
            return f"Aborted: not finished within {draft.limits.deploy / 60:.0f} minutes"
        return None

    def cannot_place(self, number: int, cause: str) -> None:
        """No node can take the instance, and nothing that would change that is on its way."""
        draft = self._draft
        draft.actions.append(Unplaced(draft.deploy.id, number, len(draft.rollouts), cause))
        self.finish(cause)

    def abandon(self) -> None:
        """The service shall not run any more."""
        draft = self._draft
        change = f"the desired state of {draft.service.path} changed to {draft.service.state}"
        for rollout in list(draft.rollouts.values()):
            if rollout.state == "ongoing":
                draft.mark(rollout, f"{STATE_ERROR}: {change}")
        self.finish(f"Aborted: {change}")

    def finish(self, failure: str | None) -> None:
        """With success when there is no `failure`."""
        draft = self._draft
        if failure is None:
            draft.actions.append(Finish(draft.deploy.id, "success", self._pretended()))
            return
        back = self._way_back()
        draft.actions.append(Finish(draft.deploy.id, "error", f"{failure}{back}"))

    def _pretended(self) -> str | None:
        """What a success must not hide: nodes whose agent found no container engine run nothing."""
        used = {item.node_id for item in self._draft.rollouts.values()}
        names = [node.name for node in self._draft.nodes.values() if node.id in used and HOLLOW in node.volume_drivers]
        if not names:
            return None
        return f"Containers are only pretended: no container engine on node {', '.join(sorted(names))}"

    def _way_back(self) -> str:
        """Roll back if the service wants it and something was changed; what to add to the reason."""
        draft = self._draft
        service, good = draft.service, draft.good
        wanted = service.spec.deploy_opts.rollback and service.state == "running" and draft.rollouts
        if not wanted or draft.deploy.cause == "rollback" or draft.waiting:
            return ""
        if good is None:
            return "; there is no earlier success to roll back to"
        if good.of(service) == service:
            return ""
        draft.actions.append(RollBack(good.revision))
        return f"; rolling back to revision {good.revision}"
