"""LogIngestService: decode, call, confirm."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from kontena.deploy.v1 import assignment_pb2 as pb
from kontena.deploy.v1.assignment_pb2_grpc import LogIngestServiceServicer
from services.deploy_svc.convert.container_logs import line_from_proto
from services.deploy_svc.domain.log_line import LogResume
from services.deploy_svc.usecases.log_ingest import LogIngest
from services.kernel.call import principal
from services.kernel.errors import Unauthenticated
from services.kernel.methods import Context


class LogIngestServicer(LogIngestServiceServicer):
    """See the proto for the contract."""

    def __init__(self, ingest: LogIngest) -> None:
        self._ingest = ingest

    async def PushLogs(
        self, request_iterator: AsyncIterator[pb.PushLogsRequest], context: Context
    ) -> AsyncIterator[pb.PushLogsResponse]:
        session = principal().node
        if session is None:
            raise Unauthenticated
        resume = LogResume()
        async for request in request_iterator:
            now = datetime.now(UTC)
            await self._ingest.push(session, resume, [line_from_proto(line, now) for line in request.lines])
            yield pb.PushLogsResponse(sequence=request.sequence)
