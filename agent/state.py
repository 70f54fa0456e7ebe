"""What must survive the agent's process: who this node is, what it should run, what it has handled. No secrets."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from google.protobuf import json_format

from agent.domain.labels import InstanceKey
from agent.state_dir import StateDir, StateFile
from kontena.deploy.v1 import assignment_pb2 as pb
from kontena.grid.v1 import node_session_pb2 as session_pb
from services.kernel.logs import get_logger

log = get_logger(__name__)

_DELAY = 0.2


@dataclass(slots=True)
class Record:
    """What was done for an instance. `applied_rev` is the last rollout that was applied completely, None when not
    known; `ready_for` names the start of the container that has opened its port; `hooks` are the ids of the one-shot
    hooks that were started. `data` are the volumes with its data by path. `refused_rev` is the rollout whose container
    did not start, so that the one of before runs again, and `refusal` why."""

    restarts: int
    applied_rev: str | None = None
    ready_for: str = ""
    hooks: list[str] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)
    refused_rev: str | None = None
    refusal: str = ""


class State:
    """The agent's memory. Changes are written a moment later, or at once with `flush`."""

    def __init__(self, folder: StateDir) -> None:
        self._file = StateFile(folder, "state.json", self._content, _DELAY)
        content = self._file.read()
        self.node_id: str = content.get("node_id", "")
        self.runtime: str = content.get("runtime", "")
        self.docker_host: str = content.get("docker_host", "")
        self.node: session_pb.NodeDescription | None = _parsed(content.get("node"), session_pb.NodeDescription)
        self.former_nodes: list[str] = list(content.get("former_nodes", []))
        parsed = (_parsed(item, pb.Assignment) for item in content.get("assignments", []))
        self.assignments: dict[str, pb.Assignment] = {
            item.instance_id: item for item in parsed if item is not None and item.instance_id and item.service_id
        }
        self._records = _records(content.get("records", {}))

    @property
    def node_ids(self) -> list[str]:
        """Record ids under which this agent made containers, the present one first."""
        present = [self.node.id] if self.node is not None else []
        return [*present, *self.former_nodes]

    def describe_node(self, node: session_pb.NodeDescription) -> None:
        """Remember who this node is. As another node than before, it forgets what the old one should run."""
        if self.node is not None and self.node.id != node.id:
            log.warning("this machine is another node now", was=self.node.name, now=node.name, grid=node.grid)
            self.former_nodes = [self.node.id, *(old for old in self.former_nodes if old != node.id)][:20]
            self.assignments = {}
        self.node = node
        self.touch()

    def keep_assignments(self, assignments: Iterable[pb.Assignment]) -> None:
        """Remember what should run, without the values of secrets."""
        self.assignments = {assignment.instance_id: without_secrets(assignment) for assignment in assignments}
        self.touch()

    def record(self, key: InstanceKey, restarts: int) -> Record:
        """What was done for an instance; without a record the restarts asked for so far count as handled."""
        return self._records.setdefault(key, Record(restarts))

    def with_data(self) -> dict[InstanceKey, set[str]]:
        """The volumes of each instance that keeps data here, assigned or not."""
        return {key: set(record.data.values()) for key, record in self._records.items() if record.data}

    def forget(self, key: InstanceKey) -> None:
        """The instance is gone."""
        if self._records.pop(key, None) is not None:
            self.touch()

    def touch(self) -> None:
        """Something changed; write it soon."""
        self._file.touch()

    def flush(self) -> None:
        """Write now."""
        self._file.flush()

    def _content(self) -> dict[str, Any]:
        return {
            "node_id": self.node_id,
            "runtime": self.runtime,
            "docker_host": self.docker_host,
            "node": None if self.node is None else json_format.MessageToDict(self.node),
            "former_nodes": self.former_nodes,
            "assignments": [json_format.MessageToDict(assignment) for assignment in self.assignments.values()],
            "records": {f"{key.service_id}/{key.number}": asdict(record) for key, record in self._records.items()},
        }


def without_secrets(assignment: pb.Assignment) -> pb.Assignment:
    """The assignment with the names of its secrets only."""
    copy = pb.Assignment()
    copy.CopyFrom(assignment)
    for secret in copy.secrets:
        secret.value = ""
    if copy.pod.HasField("image_credentials"):
        copy.pod.image_credentials.password = ""
    return copy


def _parsed(content: Any, kind: Any) -> Any:
    if not content:
        return None
    try:
        return json_format.ParseDict(content, kind(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        log.error("part of the state file is unreadable", kind=kind.DESCRIPTOR.name, error=repr(error)[:300])
        return None


def _records(content: Any) -> dict[InstanceKey, Record]:
    known = {item.name for item in fields(Record)}
    try:
        # Another release of the agent may have written members that this one does not know.
        return {
            _key(name): Record(**{member: value for member, value in record.items() if member in known})
            for name, record in content.items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        log.error("part of the state file is unreadable", kind="records", error=repr(error)[:300])
        return {}


def _key(name: str) -> InstanceKey:
    service_id, _, number = name.rpartition("/")
    return InstanceKey(service_id, int(number))
