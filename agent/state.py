"""What must survive the agent's process: who this node is, what it should run, what it has handled. No secrets."""

from collections.abc import Iterable

from agent.domain.labels import InstanceKey
from agent.state_dir import StateDir, StateFile
from agent.state_documents import Record, StateDocument
from kontena.deploy.v1 import assignment_pb2 as pb
from kontena.grid.v1 import node_session_pb2 as session_pb
from services.kernel.logs import get_logger

log = get_logger(__name__)

_DELAY = 0.2


class State:
    """The agent's memory. Changes are written a moment later, or at once with `flush`."""

    def __init__(self, folder: StateDir) -> None:
        self._file = StateFile(folder, "state.json", self._content, _DELAY)
        known = self._file.read(StateDocument)
        self.node_id = known.node_id
        self.runtime = known.runtime
        self.docker_host = known.docker_host
        self.node: session_pb.NodeDescription | None = known.node
        self.former_nodes = known.former_nodes
        self.assignments: dict[str, pb.Assignment] = {item.instance_id: item for item in known.assignments}
        self._records = {_key(name): record for name, record in known.records.items()}

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
        return self._records.setdefault(key, Record(restarts=restarts))

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

    def _content(self) -> StateDocument:
        return StateDocument.model_construct(
            node_id=self.node_id,
            runtime=self.runtime,
            docker_host=self.docker_host,
            node=self.node,
            former_nodes=self.former_nodes,
            assignments=list(self.assignments.values()),
            records={f"{key.service_id}/{key.number}": record for key, record in self._records.items()},
        )


def without_secrets(assignment: pb.Assignment) -> pb.Assignment:
    """The assignment with the names of its secrets and the paths of its files only."""
    copy = pb.Assignment()
    copy.CopyFrom(assignment)
    for secret in copy.secrets:
        secret.value = ""
    for file in copy.files:
        file.content = b""
    if copy.pod.HasField("image_credentials"):
        copy.pod.image_credentials.password = ""
    return copy


def _key(name: str) -> InstanceKey:
    service_id, _, number = name.rpartition("/")
    return InstanceKey(service_id, int(number))
