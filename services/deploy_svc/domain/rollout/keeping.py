"""Which instances a deploy leaves as they are (docs/adr/0135)."""

from services.deploy_svc.domain.instance import Instance
from services.deploy_svc.domain.rollout.draft import Draft
from services.deploy_svc.domain.service import Service


def keep_what_is_well(draft: Draft) -> None:
    """A deploy that only changes how many there are touches no instance that runs as it should. Call it once, when the
    deploy has begun and before anything is placed: those that stay count for where the others go."""
    if draft.deploy.asked.origin != "scale":
        return
    for number, instance in sorted(draft.instances.items()):
        home = draft.nodes.get(instance.node_id or "")
        if home is not None and _is_well(instance, draft.service) and draft.scheduler.permits(number, home.id):
            draft.keep(number, home)


def _is_well(instance: Instance, service: Service) -> bool:
    """Whether its node has done all that was asked of it, and it runs what would be asked of it now: whatever changes
    a pod, or a value that it names, raises the revision of the service."""
    settled = instance.rev is not None and instance.rev == instance.deploy_rev
    runs = instance.desired_state == "running" and instance.state == "running" and not instance.error
    current = instance.service_revision == service.revision
    return settled and runs and current and instance.health != "unhealthy"
