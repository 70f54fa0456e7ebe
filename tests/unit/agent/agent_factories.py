"""Builders for the agent's tests."""

from typing import Any

from agent.domain.decide import Desired, Observed
from agent.runtime.config import NodeIdentity
from kontena.deploy.v1 import assignment_pb2 as pb

NODE = NodeIdentity(node_id="a" * 24, node_name="node-1", grid="main")


def assignment(
    number: int = 1, *, service: str = "web", pod: dict[str, Any] | None = None, **changed: Any
) -> pb.Assignment:
    """An assignment that runs; `pod` changes single members of its pod."""
    fields: dict[str, Any] = {
        "instance_id": f"{service}{number}".encode().hex().ljust(24, "0"),
        "service_id": service.encode().hex().ljust(24, "f"),
        "instance_number": number,
        "desired_state": "running",
        "deploy_rev": "2026-01-01T00:00:00.000000Z",
        "service_revision": 1,
    }
    pod_fields: dict[str, Any] = {
        "image": "hollow/web:1",
        "container_name": f"{service}-{number}",
        "hostname": f"{service}-{number}",
        "domainname": "main.kontena.local",
        "stop_grace_period": 1,
        "net": "bridge",
    }
    return pb.Assignment(**{**fields, **changed}, pod=pb.Pod(**{**pod_fields, **(pod or {})}))


def desired(**changed: Any) -> Desired:
    return Desired(**{"state": "running", "service_revision": 1, "deploy_rev": "r1", **changed})


def observed(**changed: Any) -> Observed:
    fields = {"container_id": "c1", "image_id": "i1", "running": True, "service_revision": 1}
    return Observed(**{**fields, **changed})
