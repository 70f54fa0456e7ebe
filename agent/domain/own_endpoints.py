"""What a node knows of its own endpoints before the master does, and while there is none. Pure."""

from collections.abc import Collection, Mapping

from agent.domain import decide as rules
from agent.domain import labels
from agent.domain.health import HEALTHY
from agent.domain.resolver_names import Endpoint
from kontena.deploy.v1 import assignment_pb2 as pb


def endpoint_of(assignment: pb.Assignment, status: pb.InstanceStatus, node_id: str) -> Endpoint | None:
    """The instance as the master will tell it; None while nobody should connect to it."""
    pod = assignment.pod
    runs = assignment.desired_state == status.state == rules.RUNNING and status.address
    checked = pod.HasField("health_check") and pod.health_check.protocol
    if not runs or (checked and status.health != HEALTHY):
        return None
    return Endpoint(
        instance_id=assignment.instance_id,
        service=pod.labels.get(labels.SERVICE_NAME, ""),
        stack=pod.labels.get(labels.STACK_NAME, ""),
        hostname=pod.hostname,
        domainname=pod.domainname,
        exposed=pod.exposed,
        address=status.address,
        node_id=node_id,
    )


class OwnEndpoints:
    """What was seen here last counts, until the master tells something else of the instance than it did before."""

    def __init__(self) -> None:
        self._seen: dict[str, Endpoint | None] = {}
        self._complete = False

    def see(self, instance_id: str, endpoint: Endpoint | None) -> bool:
        """Whether this is news. An instance that left this node is seen as None."""
        if instance_id in self._seen and self._seen[instance_id] == endpoint:
            return False
        self._seen[instance_id] = endpoint
        return True

    def seen_of(self, told: Mapping[str, Endpoint]) -> dict[str, Endpoint]:
        """What is told of those that were seen here."""
        return {key: told[key] for key in self._seen if key in told}

    def heard(self, before: Mapping[str, Endpoint], now: Mapping[str, Endpoint]) -> None:
        """The master told its list."""
        for key, seen in list(self._seen.items()):
            # What is none on both sides needs no memory.
            if before.get(key) != now.get(key) or (seen is None and key not in now):
                del self._seen[key]

    def complete(self, assigned: Collection[str]) -> bool:
        """Whether all that may have been answered before this process began were looked at since; then it stays so."""
        self._complete = self._complete or self._seen.keys() >= set(assigned)
        return self._complete

    def of(self, told: Mapping[str, Endpoint], node_id: str) -> list[Endpoint]:
        """Those of this node."""
        merged = {**{key: each for key, each in told.items() if each.node_id == node_id}, **self._seen}
        return [each for each in merged.values() if each is not None]
