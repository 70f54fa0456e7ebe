"""Volumes as answers show them (docs/spec/deploy_rest.md section 11)."""

from kontena.deploy.v1 import volume_pb2 as pb
from services.deploy_svc.domain.volume import VolumeView
from services.kernel.times import shown


def volume_to_proto(view: VolumeView) -> pb.Volume:
    volume = view.volume
    return pb.Volume(
        id=volume.path,
        name=volume.name,
        scope=volume.scope,
        driver=volume.driver,
        driver_opts=volume.driver_opts,
        created_at=shown(volume.created_at),
        updated_at=shown(volume.updated_at),
        instances=[pb.VolumeInstance(node=node, name=name) for node, name in view.instances],
        services=[pb.VolumeUser(id=path) for path in view.services],
    )
