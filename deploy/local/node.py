"""The node of this machine: what its agent remembers, and what the master knows of it."""

import json
from dataclasses import dataclass

from deploy.local.settings import LocalSettings

PRETENDED = (
    "WARNING: no Docker Engine answers, so the node only PRETENDS to run containers: deploys succeed, nothing runs.\n"
    "         Install one (Debian, Ubuntu: apt-get install docker.io), start it or set DOCKER_HOST. Then: make down up"
)


@dataclass(frozen=True, slots=True)
class LocalNode:
    """`node_id` is the engine's id, empty before the agent's first start."""

    node_id: str
    pretends: bool


def local_node(settings: LocalSettings) -> LocalNode:
    """What the agent wrote down at its last start."""
    try:
        memory = json.loads((settings.var / "agent" / "state.json").read_text())
    except (OSError, ValueError):
        memory = {}
    return LocalNode(str(memory.get("node_id", "")), memory.get("runtime") == "hollow")
