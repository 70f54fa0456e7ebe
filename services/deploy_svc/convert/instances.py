"""Instances as answers show them (docs/spec/deploy_rest.md section 5)."""

from kontena.deploy.v1 import instance_pb2 as pb
from services.deploy_svc.usecases.instances import Placed
from services.kernel.times import shown


def instance_to_proto(placed: Placed) -> pb.Instance:
    grid, instance, node = placed
    return pb.Instance(
        id=instance.id,
        created_at=shown(instance.created_at),
        updated_at=shown(instance.updated_at),
        instance_number=instance.instance_number,
        desired_state=instance.desired_state,
        state=instance.state,
        deploy_rev=instance.deploy_rev,
        rev=instance.rev,
        error=instance.error,
        node=None
        if node is None
        else pb.InstanceNode(id=f"{grid.name}/{node.name}", name=node.name, public_ip=node.public_ip or None),
    )
