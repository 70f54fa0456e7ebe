"""Plans as answers show them."""

from kontena.deploy.v1 import stack_pb2 as pb
from services.deploy_svc.convert.stacks import to_value
from services.deploy_svc.domain.stack_plan import PlannedService, StackPlan


def plan_to_proto(plan: StackPlan) -> pb.StackPlan:
    """The whole answer."""
    return pb.StackPlan(
        stack_id=plan.path,
        revision=plan.revision,
        changed=plan.changed,
        services=[_service(service) for service in plan.services],
    )


def _service(service: PlannedService) -> pb.PlannedService:
    return pb.PlannedService(
        name=service.name,
        action=service.action,
        changes=[
            pb.PlannedChange(attribute=name, before=to_value(before), after=to_value(after))
            for name, before, after in service.changes
        ],
        placements=[
            pb.PlannedPlacement(
                instance_number=item.instance_number, node=item.node, current_node=item.current, reason=item.reason
            )
            for item in service.placements
        ],
        reason=service.reason,
    )
