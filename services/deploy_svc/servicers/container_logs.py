"""ContainerLogService: decode, call, encode."""

from collections.abc import AsyncIterator
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from kontena.deploy.v1 import container_log_pb2 as pb
from kontena.deploy.v1.container_log_pb2_grpc import ContainerLogServiceServicer
from services.deploy_svc.convert.container_logs import KEEP_ALIVE, document, listing, query_from_proto
from services.deploy_svc.usecases.container_logs import ContainerLogs
from services.kernel.call import principal


class ContainerLogServicer(ContainerLogServiceServicer):
    """See the proto for the contract."""

    def __init__(self, logs: ContainerLogs) -> None:
        self._logs = logs

    async def ListServiceLogs(self, request: pb.ListServiceLogsRequest, context: Any) -> AsyncIterator[HttpBody]:
        service = await self._logs.service(principal(), request.id)
        query = query_from_proto(request)
        if not query.follow:
            for piece in listing(service, await self._logs.read(service, query)):
                yield piece
            return
        async for lines in self._logs.follow(service, query):
            for line in lines:
                yield document(service, line)
            if not lines:
                yield KEEP_ALIVE
