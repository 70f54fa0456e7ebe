"""Stands in for auth_svc, grid_svc and vault_svc: a real gRPC server with what deploy_svc calls."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty

from kontena.auth.v1 import audit_pb2_grpc, introspection_pb2, introspection_pb2_grpc
from kontena.grid.v1 import watch_pb2, watch_pb2_grpc
from kontena.vault.v1 import (
    certificate_delivery_pb2,
    certificate_delivery_pb2_grpc,
    registry_delivery_pb2,
    registry_delivery_pb2_grpc,
    secret_delivery_pb2,
    secret_delivery_pb2_grpc,
)
from services.kernel.server import OPTIONS

GRID, OTHER_GRID = "a" * 24, "b" * 24
NODE_1, NODE_2 = "1" * 24, "2" * 24


def _user(name: str, *roles: str, grid_ids: tuple[str, ...] = ()) -> introspection_pb2.Principal:
    return introspection_pb2.Principal(
        user_id=f"id-{name}", email=f"{name}@example.test", roles=roles, grid_ids=grid_ids, token_id=f"t-{name}"
    )


USERS = {
    "member": _user("member", grid_ids=(GRID,)),
    "viewer": _user("viewer", "viewer", grid_ids=(GRID,)),
    "grid-admin": _user("grid-admin", "grid_admin", grid_ids=(GRID,)),
    "stranger": _user("stranger", "grid_admin", "user_admin"),
    "admin": _user("root", "master_admin"),
}


class Introspection(introspection_pb2_grpc.IntrospectionServiceServicer):
    """The token of each user is the key in USERS."""

    async def IntrospectToken(self, request: Any, context: Any) -> Any:
        found = USERS.get(request.token)
        return introspection_pb2.IntrospectTokenResponse(principal=found, expired=request.token == "expired")

    async def WatchInvalidations(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield introspection_pb2.Invalidation()
        await asyncio.Event().wait()


@dataclass
class Audit(audit_pb2_grpc.AuditIngestServiceServicer):
    """Keeps what arrives, once by id, in the order of arrival."""

    events: dict[str, Any] = field(default_factory=dict)

    async def RecordAuditEvents(self, request: Any, context: Any) -> Empty:
        for event in request.events:
            self.events.setdefault(event.id, event)
        return Empty()

    def seen(self) -> list[tuple[str, str]]:
        return [(event.event_name, event.resource_name) for event in self.events.values()]


class _Watched:
    """Records by id, told to every watcher: a snapshot, then what `put` and `remove` do."""

    def __init__(self, event: Any) -> None:
        self._event = event
        self.records: dict[str, Any] = {}
        self._watchers: set[asyncio.Queue[Any]] = set()

    def put(self, record: Any) -> None:
        self.records[record.id] = record
        self._tell(self._event(upserted=record))

    def remove(self, key: str) -> None:
        if self.records.pop(key, None) is not None:
            self._tell(self._event(deleted=key))

    def _tell(self, event: Any) -> None:
        for queue in self._watchers:
            queue.put_nowait(event)

    async def watch(self) -> AsyncIterator[Any]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self._watchers.add(queue)
        try:
            for record in list(self.records.values()):
                yield self._event(upserted=record)
            yield self._event(synced=watch_pb2.Synced())
            while True:
                yield await queue.get()
        finally:
            self._watchers.discard(queue)


class Grids(watch_pb2_grpc.GridWatchServiceServicer):
    """Grids and nodes; `hidden` grids exist but were not told to watchers yet."""

    def __init__(self) -> None:
        self.grids = _Watched(watch_pb2.GridEvent)
        self.nodes = _Watched(watch_pb2.NodeEvent)
        self.hidden: dict[str, Any] = {}
        self.reset()

    def reset(self) -> None:
        """Two grids without nodes."""
        self.hidden.clear()
        for key in list(self.nodes.records):
            self.nodes.remove(key)
        for key in set(self.grids.records) - {GRID, OTHER_GRID}:
            self.grids.remove(key)
        self.put_grid(GRID, "g1")
        self.put_grid(OTHER_GRID, "g2")

    def put_grid(self, grid_id: str, name: str, *affinity: str, host_access: str = "") -> None:
        record = watch_pb2.GridRecord(id=grid_id, name=name, default_affinity=affinity, host_access=host_access)
        if self.grids.records.get(grid_id) != record:
            self.grids.put(record)

    def put_node(self, node_id: str, name: str, number: int, *, grid_id: str = GRID, **changed: Any) -> None:
        values: dict[str, Any] = {
            "connected": True,
            "availability": "active",
            "session": 1,
            "cpus": 2,
            "mem_total": 4e9,
        }
        record = watch_pb2.NodeRecord(
            id=node_id, grid_id=grid_id, node_id=f"engine-{name}", name=name, node_number=number, **(values | changed)
        )
        self.nodes.put(record)

    async def WatchGrids(self, request: Any, context: Any) -> AsyncIterator[Any]:
        async for event in self.grids.watch():
            yield event

    async def WatchNodes(self, request: Any, context: Any) -> AsyncIterator[Any]:
        async for event in self.nodes.watch():
            yield event

    async def GetGridRecord(self, request: Any, context: Any) -> Any:
        for record in (*self.grids.records.values(), *self.hidden.values()):
            if record.name == request.name:
                return record
        await context.abort(grpc.StatusCode.NOT_FOUND, "Not found")
        raise AssertionError("abort raises")


@dataclass
class Vault(
    secret_delivery_pb2_grpc.SecretDeliveryServiceServicer,
    certificate_delivery_pb2_grpc.CertificateDeliveryServiceServicer,
    registry_delivery_pb2_grpc.RegistryDeliveryServiceServicer,
):
    """Secrets by grid id and name, certificates by grid id and subject, no logins; the secrets in `unreadable` do not
    open. `down` makes it fail, `hung` makes it take questions and answer them when it is that no more."""

    values: dict[tuple[str, str], str] = field(default_factory=dict)
    unreadable: set[tuple[str, str]] = field(default_factory=set)
    certificates: dict[tuple[str, str], str] = field(default_factory=dict)
    down: bool = False
    hung: bool = False

    async def _answering(self, context: Any) -> None:
        if self.down:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "down")
        while self.hung:  # noqa: ASYNC110 -- tests turn it on and off like a switch.
            await asyncio.sleep(0.02)

    async def ResolveSecrets(self, request: Any, context: Any) -> Any:
        await self._answering(context)
        named = [name for name in request.names if (request.grid_id, name) in self.values]
        closed = [name for name in named if (request.grid_id, name) in self.unreadable]
        found = {name: self.values[request.grid_id, name] for name in named if name not in closed}
        return secret_delivery_pb2.ResolveSecretsResponse(values=found, unreadable=closed)

    async def ListSecretNames(self, request: Any, context: Any) -> Any:
        await self._answering(context)
        found = [name for name in request.names if (request.grid_id, name) in self.values]
        return secret_delivery_pb2.ListSecretNamesResponse(names=found)

    async def ListCertificateSubjects(self, request: Any, context: Any) -> Any:
        await self._answering(context)
        found = [subject for subject in request.subjects if (request.grid_id, subject) in self.certificates]
        return certificate_delivery_pb2.ListCertificateSubjectsResponse(subjects=found)

    async def ResolveCertificates(self, request: Any, context: Any) -> Any:
        await self._answering(context)
        known = {subject: self.certificates.get((request.grid_id, subject)) for subject in request.subjects}
        bundles = {subject: bundle for subject, bundle in known.items() if bundle is not None}
        return certificate_delivery_pb2.ResolveCertificatesResponse(bundles=bundles)

    async def ResolveChallenges(self, request: Any, context: Any) -> Any:
        await self._answering(context)
        return certificate_delivery_pb2.ResolveChallengesResponse()

    async def ResolveRegistryCredentials(self, request: Any, context: Any) -> Any:
        await self._answering(context)
        return registry_delivery_pb2.ResolveRegistryCredentialsResponse()


@dataclass
class Neighbours:
    """All of them on one address."""

    address: str
    audit: Audit
    grids: Grids
    vault: Vault

    def reset(self) -> None:
        self.audit.events.clear()
        self.grids.reset()
        self.vault.values.clear()
        self.vault.unreadable.clear()
        self.vault.certificates.clear()
        self.vault.down = self.vault.hung = False


@asynccontextmanager
async def neighbours() -> AsyncIterator[Neighbours]:
    server = grpc.aio.server(options=OPTIONS)
    found = Neighbours("", Audit(), Grids(), Vault())
    introspection_pb2_grpc.add_IntrospectionServiceServicer_to_server(Introspection(), server)
    audit_pb2_grpc.add_AuditIngestServiceServicer_to_server(found.audit, server)
    watch_pb2_grpc.add_GridWatchServiceServicer_to_server(found.grids, server)
    secret_delivery_pb2_grpc.add_SecretDeliveryServiceServicer_to_server(found.vault, server)
    certificate_delivery_pb2_grpc.add_CertificateDeliveryServiceServicer_to_server(found.vault, server)
    registry_delivery_pb2_grpc.add_RegistryDeliveryServiceServicer_to_server(found.vault, server)
    found.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield found
    await server.stop(0)
