"""Stands in for auth_svc and deploy_svc: real gRPC servers with the parts of their API that grid_svc calls."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty

from kontena.auth.v1 import (
    audit_pb2_grpc,
    introspection_pb2,
    introspection_pb2_grpc,
    membership_pb2,
    membership_pb2_grpc,
)
from kontena.deploy.v1 import grid_event_pb2_grpc, grid_usage_pb2, grid_usage_pb2_grpc
from services.kernel.informer import Delete, Synced, Upsert
from services.kernel.server import OPTIONS
from tests.support.watching import followed


class Introspection(introspection_pb2_grpc.IntrospectionServiceServicer):
    """Tokens are made by `user`."""

    def __init__(self) -> None:
        self.users: dict[str, Any] = {}

    def user(self, *roles: str, grid_ids: Collection[str] = (), user_id: str = "u" * 24) -> str:
        token = secrets.token_hex(8)
        self.users[token] = introspection_pb2.Principal(
            user_id=user_id, email=f"{user_id[:4]}@example.test", roles=roles, grid_ids=grid_ids, token_id=token
        )
        return token

    async def IntrospectToken(self, request: Any, context: Any) -> Any:
        return introspection_pb2.IntrospectTokenResponse(principal=self.users.get(request.token))

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

    def seen(self) -> list[tuple[str, str, str]]:
        return [(event.resource_type, event.event_name, event.resource_name) for event in self.events.values()]


@dataclass
class Memberships(membership_pb2_grpc.GridMembershipServiceServicer):
    """Members by grid id. `failing` answers UNAVAILABLE to who adds one."""

    members: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    removed: list[str] = field(default_factory=list)
    failing: bool = False

    async def AddGridMember(self, request: Any, context: Any) -> Empty:
        if self.failing:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self.members[request.grid_id].add(request.user_id)
        return Empty()

    async def RemoveGrid(self, request: Any, context: Any) -> Empty:
        self.members.pop(request.grid_id, None)
        self.removed.append(request.grid_id)
        return Empty()

    async def CountGridMembers(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def WatchGridMembers(self, request: Any, context: Any) -> AsyncIterator[Any]:
        event, record = membership_pb2.GridMembersEvent, membership_pb2.GridMembersRecord
        async for change in followed(lambda: {grid_id: len(users) for grid_id, users in self.members.items()}):
            match change:
                case Upsert(key, users):
                    yield event(upserted=record(grid_id=key, user_count=users))
                case Delete(key):
                    yield event(deleted=key)
                case Synced():
                    yield event(synced=Empty())


@dataclass
class Usage(grid_usage_pb2_grpc.GridUsageServiceServicer):
    """(services, containers) by grid id. `failing` answers UNAVAILABLE."""

    usages: dict[str, tuple[int, int]] = field(default_factory=dict)
    stateful_nodes: set[str] = field(default_factory=set)
    counted: int = 0
    failing: bool = False

    async def CountGridUsage(self, request: Any, context: Any) -> Any:
        self.counted += 1
        if self.failing:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        response = grid_usage_pb2.CountGridUsageResponse()
        for grid_id in request.grid_ids:
            if grid_id in self.usages:
                services, containers = self.usages[grid_id]
                response.usages[grid_id].service_count = services
                response.usages[grid_id].container_count = containers
        return response

    async def WatchGridUsage(self, request: Any, context: Any) -> AsyncIterator[Any]:
        event, record = grid_usage_pb2.GridUsageEvent, grid_usage_pb2.GridUsageRecord
        async for change in followed(lambda: dict(self.usages)):
            match change:
                case Upsert(key, (services, containers)):
                    yield event(upserted=record(grid_id=key, service_count=services, container_count=containers))
                case Delete(key):
                    yield event(deleted=key)
                case Synced():
                    yield event(synced=Empty())

    async def FindStatefulNodes(self, request: Any, context: Any) -> Any:
        if self.failing:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        found = self.stateful_nodes.intersection(request.node_ids)
        return grid_usage_pb2.FindStatefulNodesResponse(node_ids=found)


@dataclass
class GridEvents(grid_event_pb2_grpc.GridEventServiceServicer):
    """Types and messages of grid events in order."""

    told: list[tuple[str, str]] = field(default_factory=list)

    async def RecordGridEvents(self, request: Any, context: Any) -> Empty:
        self.told += [(event.type, event.message) for event in request.events]
        return Empty()


@dataclass
class Neighbours:
    """Both services on one address."""

    address: str
    introspection: Introspection
    audit: Audit
    memberships: Memberships
    usage: Usage
    grid_events: GridEvents

    def reset(self) -> None:
        self.audit.events.clear()
        self.memberships.members.clear()
        self.memberships.removed.clear()
        self.usage.failing = False
        self.usage.usages.clear()
        self.usage.stateful_nodes.clear()
        self.usage.counted = 0
        self.grid_events.told.clear()


@asynccontextmanager
async def neighbours() -> AsyncIterator[Neighbours]:
    server = grpc.aio.server(options=OPTIONS)
    found = Neighbours("", Introspection(), Audit(), Memberships(), Usage(), GridEvents())
    introspection_pb2_grpc.add_IntrospectionServiceServicer_to_server(found.introspection, server)
    audit_pb2_grpc.add_AuditIngestServiceServicer_to_server(found.audit, server)
    membership_pb2_grpc.add_GridMembershipServiceServicer_to_server(found.memberships, server)
    grid_usage_pb2_grpc.add_GridUsageServiceServicer_to_server(found.usage, server)
    grid_event_pb2_grpc.add_GridEventServiceServicer_to_server(found.grid_events, server)
    found.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield found
    await server.stop(0)
