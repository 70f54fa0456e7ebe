"""Container labels (docs/spec/orchestration.md section 7.5) and the identity they carry."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

SERVICE_ID = "io.kontena.service.id"
SERVICE_NAME = "io.kontena.service.name"
STACK_NAME = "io.kontena.stack.name"
GRID_NAME = "io.kontena.grid.name"
# The network between nodes that a container was made on; absent on one with aliases on a bridge of its node.
NETWORK = "io.kontena.container.network"
NETWORK_BLOCK = "io.kontena.network.block"
VOLUME_NAME = "io.kontena.volume.name"
INSTANCE_NUMBER = "io.kontena.service.instance_number"
EXPOSED = "io.kontena.service.exposed"
INSTANCE_ID = "io.kontena.instance.id"
NODE_ID = "io.kontena.node.id"
CONTAINER_TYPE = "io.kontena.container.type"
CONTAINER_NAME = "io.kontena.container.name"
POD = "io.kontena.container.pod"
DEPLOY_REV = "io.kontena.container.deploy_rev"
SERVICE_REVISION = "io.kontena.container.service_revision"
STOP_GRACE_PERIOD = "io.kontena.container.stop_grace_period"
# Names of the variables that carry secrets, as a JSON list.
SECRET_NAMES = "io.kontena.container.secret_names"  # noqa: S105 -- a label, its value lists names.
# Which hook the container runs, as its log lines say.
HOOK = "io.kontena.container.hook"
# Names of the volumes with the data of a stateful instance by path, as a JSON object.
DATA_VOLUMES = "io.kontena.container.data_volumes"
VOLUME_PATH = "io.kontena.volume.path"
# Names the folder on the node with the files of the container.
FILES = "io.kontena.container.files"
SKIP_LOGS = "io.kontena.container.skip_logs"
LOAD_BALANCER = "io.kontena.load_balancer.name"

TYPE_CONTAINER = "container"
# The never started container in which earlier releases kept the volumes of a stateful instance.
TYPE_VOLUME = "volume"
TYPE_DATA = "data"
TYPE_HOOK = "service_hook"


class InstanceKey(NamedTuple):
    """What stays the same when an instance is deployed again: its service and its number."""

    service_id: str
    number: int


def key_of(labels: Mapping[str, str]) -> InstanceKey | None:
    """The instance a container belongs to, None when its labels do not say."""
    service_id = labels.get(SERVICE_ID, "")
    number = labels.get(INSTANCE_NUMBER, "")
    if not service_id or not number.isascii() or not number.isdigit():
        return None
    return InstanceKey(service_id, int(number))


def is_ours(labels: Mapping[str, str], node_ids: Collection[str]) -> bool:
    """Whether this agent made the container; several agents may share an engine."""
    return labels.get(NODE_ID, "") in node_ids


def number_label(labels: Mapping[str, str], name: str) -> int:
    """A numeric label; missing or odd text counts as 0."""
    text = labels.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0
