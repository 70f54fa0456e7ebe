"""Stands in for auth_svc, grid_svc and deploy_svc: real gRPC servers with what the vault calls of their API."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty

from kontena.auth.v1 import audit_pb2_grpc, introspection_pb2, introspection_pb2_grpc
from kontena.deploy.v1 import grid_event_pb2_grpc, secret_usage_pb2_grpc
from kontena.grid.v1 import watch_pb2, watch_pb2_grpc
from services.kernel.server import OPTIONS
from tests.integration.vault_svc.deploy_stand_in import GridEvents, SecretUsage

ALPHA, BETA = "a" * 24, "b" * 24


def _user(name: str, *roles: str, grid_ids: tuple[str, ...] = ()) -> introspection_pb2.Principal:
    return introspection_pb2.Principal(
        user_id=f"id-{name}", email=f"{name}@example.test", roles=roles, grid_ids=grid_ids, token_id=f"t-{name}"
    )


USERS = {
    "member": _user("member", grid_ids=(ALPHA, BETA)),
    "viewer": _user("viewer", "viewer", grid_ids=(ALPHA,)),
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


class Grids(watch_pb2_grpc.GridWatchServiceServicer):
    """A snapshot, then what `put` and `remove` do."""

    def __init__(self) -> None:
        self.records: dict[str, Any] = {}
        self._watchers: set[asyncio.Queue[Any]] = set()
        self.put(ALPHA, "alpha")
        self.put(BETA, "beta")

    def put(self, grid_id: str, name: str, host_access: str = "") -> None:
        self.records[grid_id] = watch_pb2.GridRecord(id=grid_id, name=name, host_access=host_access)
        self._tell(watch_pb2.GridEvent(upserted=self.records[grid_id]))

    def remove(self, grid_id: str) -> None:
        self.records.pop(grid_id, None)
        self.tell_removed(grid_id)

    def tell_removed(self, grid_id: str) -> None:
        self._tell(watch_pb2.GridEvent(deleted=grid_id))

    def _tell(self, event: Any) -> None:
        for queue in self._watchers:
            queue.put_nowait(event)

    async def WatchGrids(self, request: Any, context: Any) -> AsyncIterator[Any]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self._watchers.add(queue)
        try:
            for record in list(self.records.values()):
                yield watch_pb2.GridEvent(upserted=record)
            yield watch_pb2.GridEvent(synced=watch_pb2.Synced())
            while True:
                yield await queue.get()
        finally:
            self._watchers.discard(queue)

    async def WatchNodes(self, request: Any, context: Any) -> AsyncIterator[Any]:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "the vault does not follow nodes")
        yield

    async def GetGridRecord(self, request: Any, context: Any) -> Any:
        for record in self.records.values():
            if record.name == request.name:
                return record
        await context.abort(grpc.StatusCode.NOT_FOUND, "Not found")
        raise AssertionError("abort raises")


@dataclass
class Neighbours:
    """All services on one address."""

    address: str
    audit: Audit
    grids: Grids
    deploy: SecretUsage
    grid_events: GridEvents


@asynccontextmanager
async def neighbours() -> AsyncIterator[Neighbours]:
    server = grpc.aio.server(options=OPTIONS)
    audit, grids, deploy, events = Audit(), Grids(), SecretUsage(), GridEvents()
    introspection_pb2_grpc.add_IntrospectionServiceServicer_to_server(Introspection(), server)
    audit_pb2_grpc.add_AuditIngestServiceServicer_to_server(audit, server)
    watch_pb2_grpc.add_GridWatchServiceServicer_to_server(grids, server)
    secret_usage_pb2_grpc.add_SecretUsageServiceServicer_to_server(deploy, server)
    grid_event_pb2_grpc.add_GridEventServiceServicer_to_server(events, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield Neighbours(f"127.0.0.1:{port}", audit, grids, deploy, events)
    await server.stop(0)
