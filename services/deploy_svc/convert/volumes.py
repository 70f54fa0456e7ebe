"""Volumes, to and from the wire (docs/spec/deploy_rest.md section 11)."""

from collections.abc import Collection
from typing import Any

from kontena.deploy.v1 import volume_pb2 as pb
from services.deploy_svc.convert.service_spec import plain
from services.deploy_svc.domain.volume import VolumeView
from services.kernel.times import shown


def attributes_from_proto(spec: pb.VolumeSpec, nulls: Collection[str] = ()) -> dict[str, Any]:
    """What was given by name; None for an explicit null."""
    given: dict[str, Any] = dict.fromkeys(nulls)
    for name in ("name", "scope", "driver"):
        if spec.HasField(name):
            given[name] = getattr(spec, name)
    if spec.HasField("driver_opts"):
        given["driver_opts"] = plain(spec.driver_opts)
    return given


def volume_to_proto(view: VolumeView) -> pb.Volume:
    """The whole answer."""
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
