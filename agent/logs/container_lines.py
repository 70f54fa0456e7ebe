"""The log lines of a container, as messages."""

from collections.abc import Callable, Mapping

from agent.domain import labels
from agent.domain.labels import InstanceKey, key_of
from agent.domain.log_frames import NANO, Frame
from agent.runtime.ports import Container
from kontena.deploy.v1 import assignment_pb2 as pb


class ContainerLines:
    """Puts together once what all lines of a container say alike. `instance_id` is asked for each line."""

    def __init__(self, container: Container, instance_id: Callable[[InstanceKey], str]) -> None:
        self.id, self.name = container.id, container.name
        self.labels: Mapping[str, str] = container.labels
        self._instance_id = instance_id
        self._key = key_of(container.labels)
        self._alike = pb.LogLine(
            instance_id=container.labels.get(labels.INSTANCE_ID, ""),
            service_id=container.labels.get(labels.SERVICE_ID, ""),
            instance_number=0 if self._key is None else self._key.number,
            # That of a hook has a name of its own, and people rename containers.
            container_name=container.labels.get(labels.CONTAINER_NAME) or container.name,
            container_id=container.id,
            hook=container.labels.get(labels.HOOK, ""),
        )

    def line(self, frame: Frame, hook: str = "") -> pb.LogLine:
        """A line, which `hook` has written if it is given."""
        line = pb.LogLine()
        line.CopyFrom(self._alike)
        # Member by member: as arguments of the message they take twice the time.
        assigned = "" if self._key is None else self._instance_id(self._key)
        if assigned:
            line.instance_id = assigned
        if hook:
            line.hook = hook
        time = line.time
        time.seconds, time.nanos = divmod(frame.time_ns, NANO)
        line.type = frame.stream
        line.data = frame.data.removesuffix(b"\r").decode("utf-8", "replace")
        return line
