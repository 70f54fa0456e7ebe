"""ContainerLogService: decode, call, encode."""

from collections.abc import AsyncIterator
from functools import partial

from google.api.httpbody_pb2 import HttpBody

from kontena.deploy.v1 import container_log_pb2 as pb
from kontena.deploy.v1.container_log_pb2_grpc import ContainerLogServiceServicer
from services.deploy_svc.convert.container_logs import line_to_json, query_from_proto, unsearched
from services.deploy_svc.convert.json_streams import NDJSON, followed, line, listing
from services.deploy_svc.domain.log_query import LogQuery
from services.deploy_svc.domain.log_scope import LogScope
from services.deploy_svc.usecases.container_logs import ContainerLogs
from services.kernel.call import accepts, principal
from services.kernel.methods import Context


class ContainerLogServicer(ContainerLogServiceServicer):
    def __init__(self, logs: ContainerLogs) -> None:
        self._logs = logs

    async def ListServiceLogs(self, request: pb.ListServiceLogsRequest, context: Context) -> AsyncIterator[HttpBody]:
        async for piece in self._answer(await self._logs.service(principal(), request.id), query_from_proto(request)):
            yield piece

    async def ListStackLogs(self, request: pb.ListStackLogsRequest, context: Context) -> AsyncIterator[HttpBody]:
        async for piece in self._answer(await self._logs.stack(principal(), request.id), query_from_proto(request)):
            yield piece

    async def ListContainerLogs(
        self, request: pb.ListContainerLogsRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        scope = await self._logs.container(principal(), request.id)
        async for piece in self._answer(scope, query_from_proto(request)):
            yield piece

    async def ListGridLogs(self, request: pb.ListGridLogsRequest, context: Context) -> AsyncIterator[HttpBody]:
        scope = await self._logs.grid(
            principal(),
            request.grid,
            containers=request.containers,
            nodes=request.nodes,
            services=request.services,
        )
        async for piece in self._answer(scope, query_from_proto(request)):
            yield piece

    async def _answer(self, scope: LogScope, query: LogQuery) -> AsyncIterator[HttpBody]:
        document = partial(line_to_json, scope)
        if query.follow:
            lines = self._logs.reader.follow(scope, query, lambda found: line(document(found)))
            async for piece in followed(lines, together=accepts(NDJSON)):
                yield piece
            return
        found = await self._logs.reader.read(scope, query)
        for piece in listing(map(document, found), unsearched(query, found)):
            yield piece
