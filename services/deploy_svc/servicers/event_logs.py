"""EventLogService and EventIngestService: decode, call, encode."""

from collections.abc import AsyncIterator
from functools import partial

from google.api.httpbody_pb2 import HttpBody

from kontena.deploy.v1 import event_log_pb2 as pb
from kontena.deploy.v1.event_log_pb2_grpc import EventIngestServiceServicer, EventLogServiceServicer
from services.deploy_svc.convert.event_logs import event_from_proto, event_to_json, query_from_proto
from services.deploy_svc.convert.json_streams import NDJSON, followed, line, listing
from services.deploy_svc.domain.log_query import LogQuery
from services.deploy_svc.domain.log_scope import EventScope
from services.deploy_svc.usecases.event_logs import EventIngest, EventLogs
from services.kernel.call import accepts, node_session, principal
from services.kernel.methods import Context


class EventLogServicer(EventLogServiceServicer):
    def __init__(self, events: EventLogs) -> None:
        self._events = events

    async def ListGridEventLogs(
        self, request: pb.ListGridEventLogsRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        scope = await self._events.grid(
            principal(), request.grid, nodes=request.nodes, stacks=request.stacks, services=request.services
        )
        async for piece in self._answer(scope, query_from_proto(request)):
            yield piece

    async def ListStackEventLogs(
        self, request: pb.ListStackEventLogsRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        async for piece in self._answer(await self._events.stack(principal(), request.id), query_from_proto(request)):
            yield piece

    async def ListServiceEventLogs(
        self, request: pb.ListServiceEventLogsRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        async for piece in self._answer(await self._events.service(principal(), request.id), query_from_proto(request)):
            yield piece

    async def _answer(self, scope: EventScope, query: LogQuery) -> AsyncIterator[HttpBody]:
        document = partial(event_to_json, scope, await self._events.nodes())
        if query.follow:
            lines = self._events.reader.follow(scope, query, lambda found: line(document(found)))
            async for piece in followed(lines, together=accepts(NDJSON)):
                yield piece
            return
        for piece in listing(map(document, await self._events.reader.read(scope, query))):
            yield piece


class EventIngestServicer(EventIngestServiceServicer):
    def __init__(self, ingest: EventIngest) -> None:
        self._ingest = ingest

    async def PushEvents(self, request: pb.PushEventsRequest, context: Context) -> pb.PushEventsResponse:
        session = node_session()
        await self._ingest.push(session, [event_from_proto(event) for event in request.events])
        return pb.PushEventsResponse()
