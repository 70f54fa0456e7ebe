"""Plans as answers show them."""

from kontena.deploy.v1 import plan_pb2 as pb
from kontena.deploy.v1 import stack_pb2
from services.deploy_svc.convert.stacks import value_to_proto
from services.deploy_svc.domain.stack_plan import PlannedService, ServicePlan, StackPlan


def plan_to_proto(plan: StackPlan) -> stack_pb2.StackPlan:
    """The whole answer."""
    return stack_pb2.StackPlan(
        stack_id=plan.path,
        revision=plan.revision,
        changed=plan.changed,
        services=[_service(service) for service in plan.services],
    )


def service_plan_to_proto(plan: ServicePlan) -> pb.ServicePlan:
    """The whole answer."""
    return pb.ServicePlan(
        service_id=plan.path,
        revision=plan.revision,
        changed=plan.service.action != "keep",
        service=_service(plan.service),
    )


def _service(service: PlannedService) -> pb.PlannedService:
    return pb.PlannedService(
        name=service.name,
        action=service.action,
        changes=[
            pb.PlannedChange(
                attribute=change.attribute, before=value_to_proto(change.before), after=value_to_proto(change.after)
            )
            for change in service.changes
        ],
        placements=[
            pb.PlannedPlacement(
                instance_number=item.instance_number, node=item.node, current_node=item.current, reason=item.reason
            )
            for item in service.placements
        ],
        reason=service.reason,
    )
