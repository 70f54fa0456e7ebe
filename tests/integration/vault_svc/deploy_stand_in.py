"""Stands in for deploy_svc: the services it knows are set up in view of the test, the calls it gets are kept."""

from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.empty_pb2 import Empty

from kontena.deploy.v1 import grid_event_pb2_grpc, secret_usage_pb2_grpc
from kontena.deploy.v1 import secret_usage_pb2 as pb
from services.kernel.informer import Delete, Synced, Upsert
from tests.support.watching import followed

# The grid of all services it knows.
GRID = "a" * 24


@dataclass
class SecretUsage(secret_usage_pb2_grpc.SecretUsageServiceServicer):
    """`users` and `certificate_users` are service ids by what they use, `host_level` what of a service reaches the
    node; `linked` node ports by `stack/service`."""

    users: dict[str, list[str]] = field(default_factory=dict)
    certificate_users: dict[str, list[str]] = field(default_factory=dict)
    linked: dict[str, list[int]] = field(default_factory=dict)
    host_level: dict[str, str] = field(default_factory=dict)
    deploy_state: str = "success"
    changed: dict[str, str] = field(default_factory=dict)
    changed_certificates: dict[str, str] = field(default_factory=dict)
    deployed: list[str] = field(default_factory=list)

    def reset(self) -> None:
        self.__init__()

    async def ListSecretUsers(self, request: Any, context: Any) -> Any:
        found = _users(self.users, request.names)
        for users in found.values():
            for one in users.services:
                one.host_level = self.host_level.get(one.id, "")
        return pb.ListSecretUsersResponse(users=found)

    async def WatchVaultUsers(self, request: Any, context: Any) -> AsyncIterator[Any]:
        async for change in followed(self._vault_users):
            match change:
                case Upsert(_, user):
                    yield pb.VaultUserEvent(upserted=user)
                case Delete(key):
                    yield pb.VaultUserEvent(deleted=key)
                case Synced():
                    yield pb.VaultUserEvent(synced=Empty())

    def _vault_users(self) -> dict[str, Any]:
        secrets: dict[str, list[str]] = defaultdict(list)
        for name, services in self.users.items():
            for service in services:
                secrets[service].append(name)
        return {
            path: pb.VaultUser(
                id=path,
                grid_id=GRID,
                service=pb.UsingService(id=path, name=path.rpartition("/")[2]),
                secrets=sorted(names),
            )
            for path, names in secrets.items()
        }

    async def SecretChanged(self, request: Any, context: Any) -> Empty:
        self.changed[request.event_id] = request.name
        return Empty()

    async def ListCertificateUsers(self, request: Any, context: Any) -> Any:
        return pb.ListCertificateUsersResponse(users=_users(self.certificate_users, request.subjects))

    async def CertificateChanged(self, request: Any, context: Any) -> Empty:
        self.changed_certificates[request.event_id] = request.subject
        return Empty()

    async def GetLinkedService(self, request: Any, context: Any) -> Any:
        ports = self.linked.get(f"{request.stack}/{request.name}")
        return pb.GetLinkedServiceResponse(found=ports is not None, node_ports=ports or [])

    async def DeployLinkedService(self, request: Any, context: Any) -> Any:
        service = f"{request.stack}/{request.name}"
        if service not in self.linked:
            return pb.DeployLinkedServiceResponse()
        self.deployed.append(service)
        return pb.DeployLinkedServiceResponse(deploy_id=f"{len(self.deployed):024x}")

    async def ListLinkedDeploys(self, request: Any, context: Any) -> Any:
        return pb.ListLinkedDeploysResponse(states=dict.fromkeys(request.deploy_ids, self.deploy_state))


@dataclass
class GridEvents(grid_event_pb2_grpc.GridEventServiceServicer):
    """Keeps what arrives, once by id, in the order of arrival."""

    events: dict[str, Any] = field(default_factory=dict)

    async def RecordGridEvents(self, request: Any, context: Any) -> Empty:
        for event in request.events:
            self.events.setdefault(event.id, event)
        return Empty()

    def seen(self) -> list[tuple[str, int, str]]:
        return [(event.type, event.severity, event.message) for event in self.events.values()]


def _users(known: dict[str, list[str]], names: Any) -> dict[str, Any]:
    return {
        name: pb.UsingServices(services=[pb.UsingService(id=one, name=one.rpartition("/")[2]) for one in known[name]])
        for name in names
        if name in known
    }
