"""Plans as answers show them."""

from collections.abc import Iterable

from kontena.deploy.v1 import plan_pb2 as pb
from kontena.deploy.v1 import stack_pb2
from services.deploy_svc.convert.service_deploys import deploy_to_proto
from services.deploy_svc.convert.stacks import value_to_proto
from services.deploy_svc.domain.rebalanced import Rebalanced
from services.deploy_svc.domain.scheduling.reasons import score
from services.deploy_svc.domain.stack_plan import PlannedPlacement, PlannedService, ServicePlan, StackPlan


def plan_to_proto(plan: StackPlan) -> stack_pb2.StackPlan:
    return stack_pb2.StackPlan(
        stack_id=plan.path,
        revision=plan.revision,
        changed=plan.changed,
        services=[_service(service) for service in plan.services],
    )


def service_plan_to_proto(plan: ServicePlan) -> pb.ServicePlan:
    return pb.ServicePlan(
        service_id=plan.path,
        revision=plan.revision,
        changed=plan.service.action != "keep",
        service=_service(plan.service),
    )


def rebalance_to_proto(found: Rebalanced) -> pb.ServiceRebalance:
    """What moves of a service, with the deploy if there is one."""
    answer = pb.ServiceRebalance(
        service_id=found.service.path,
        moves=[
            pb.PlannedMove(instance_number=move.instance_number, current_node=move.current, node=move.node)
            for move in found.rebalance.moves
        ],
        reason=found.rebalance.reason,
    )
    if found.deploy is not None:
        answer.deploy.CopyFrom(deploy_to_proto(found.service, found.deploy))
    return answer


def grid_rebalance_to_proto(found: Iterable[Rebalanced]) -> pb.GridRebalance:
    """The same of all services."""
    return pb.GridRebalance(services=map(rebalance_to_proto, found))


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
        placements=map(_placement, service.placements),
        reason=service.reason,
    )


def _placement(item: PlannedPlacement) -> pb.PlannedPlacement:
    return pb.PlannedPlacement(
        instance_number=item.instance_number,
        node=item.node,
        current_node=item.current,
        reason=item.reason,
        rules=[
            pb.PlacementRule(kind=rule.kind, rule=rule.rule, met=rule.met, weight=rule.weight, count=rule.count)
            for rule in item.rules
        ],
        score=score(item.rules) if any(rule.kind == "soft" for rule in item.rules) else None,
    )
