"""What the master is told of one instance."""

from collections.abc import Mapping

from google.protobuf.timestamp_pb2 import Timestamp

from agent.domain.log_frames import NANO
from agent.domain.status import reported_state
from agent.runtime.ports import Container
from kontena.deploy.v1 import assignment_pb2 as pb


def status_of(
    assignment: pb.Assignment,
    container: Container | None,
    *,
    error: str,
    crashes: int,
    health: str,
    data: Mapping[str, str],
) -> pb.InstanceStatus:
    """The status of the instance, with what its container and its data volumes are."""
    status = pb.InstanceStatus(
        instance_id=assignment.instance_id,
        rev=assignment.deploy_rev,
        state=reported_state(container, crashes),
        error=error,
        data_volumes=[pb.DataVolume(path=path, name=name) for path, name in sorted(data.items())],
    )
    if container is not None:
        status.container_id = container.id
        status.health = health if container.running else ""
        status.address = container.address if container.running else ""
        if container.started_at_ns:
            status.started_at.CopyFrom(_timestamp(container.started_at_ns))
    return status


def _timestamp(time_ns: int) -> Timestamp:
    return Timestamp(seconds=time_ns // NANO, nanos=time_ns % NANO)
