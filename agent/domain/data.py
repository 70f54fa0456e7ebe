"""The volumes in which a stateful instance keeps its data (docs/adr/0050). Pure."""

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.domain import labels
from agent.domain.labels import InstanceKey
from agent.runtime.ports import Container
from kontena.deploy.v1 import assignment_pb2 as pb

_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
_ODD = re.compile(r"[^A-Za-z0-9_]+")
_LONGEST_NAME = 120
_LONGEST_PATH = 60


@dataclass(frozen=True, slots=True)
class DataMount:
    """A volume of the engine at a path of the container. `fresh`: it gets what the image has at that path, as it holds
    nothing yet."""

    path: str
    name: str
    fresh: bool = False

    @property
    def bind(self) -> str:
        """As the engine takes it."""
        return f"{self.name}:{self.path}" if self.fresh else f"{self.name}:{self.path}:nocopy"


def paths(pod: pb.Pod, image_volumes: Sequence[str]) -> list[str]:
    """Where a stateful instance keeps data: the paths of the service without a volume or folder of their own, and those
    that the image declares."""
    given = [(posixpath.normpath(volume.path), bool(volume.bind_mount or volume.name)) for volume in pod.volumes]
    own = [path for path, elsewhere in given if not elsewhere]
    taken = {path for path, _ in given}
    declared = [path for path in map(posixpath.normpath, image_volumes) if path not in taken]
    return list(dict.fromkeys([*own, *sorted(declared)]))


def volume_name(container_name: str, key: InstanceKey, path: str) -> str:
    """The engine's name of such a volume: readable, and of no other service that ever has the same name."""
    digest = hashlib.sha256(f"{key.service_id}/{key.number}:{path}".encode()).hexdigest()[:8]
    readable = _ODD.sub("-", path).strip("-")[-_LONGEST_PATH:].strip("-") or "data"
    return f"{container_name[:_LONGEST_NAME]}.{readable}.{digest}"


def label(mounts: Sequence[DataMount]) -> str:
    """What a container says of its data volumes."""
    return json.dumps({mount.path: mount.name for mount in mounts}, sort_keys=True)


def labelled(container: Container) -> dict[str, str]:
    """Volume by path as `label` wrote them; empty for containers of earlier releases."""
    try:
        found = json.loads(container.labels.get(labels.DATA_VOLUMES, "{}"))
    except ValueError:
        return {}
    return {str(path): str(name) for path, name in found.items()} if isinstance(found, dict) else {}


def held_by(container: Container) -> dict[str, str]:
    """Volume by path of what a container of a stateful instance keeps. Earlier releases said nothing of it: theirs are
    the anonymous ones."""
    anonymous = {path: name for path, name in container.volumes.items() if _ANONYMOUS.fullmatch(name)}
    return anonymous | labelled(container)


def gone(missing: Mapping[str, str]) -> str:
    """What to say when volumes that held data do not exist, by path."""
    listed = ", ".join(f"{name} ({path})" for path, name in missing.items())
    create = "; ".join(f"docker volume create {name}" for name in missing.values())
    return (
        f"the data of this instance is gone from the node: the volume {listed} was removed, as docker volume prune "
        "does. Nothing was started, so that nobody takes emptiness for the data. Restore a backup into a volume of "
        "this name; data of before may also be in what `docker volume ls --filter dangling=true` lists. To begin with "
        f"empty data: `{create}` on the node. The instance then starts by itself"
    )
