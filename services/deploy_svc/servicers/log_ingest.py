"""LogIngestService: decode, call, confirm."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime

from kontena.deploy.v1 import assignment_pb2 as pb
from kontena.deploy.v1.assignment_pb2_grpc import LogIngestServiceServicer
from services.deploy_svc.convert.container_logs import lines_from_proto
from services.deploy_svc.domain.log_line import LogResume
from services.deploy_svc.usecases.log_ingest import LogIngest
from services.kernel.call import node_session
from services.kernel.gathering import gathered
from services.kernel.methods import Context

_AT_ONCE_BYTES = 2**20


class LogIngestServicer(LogIngestServiceServicer):
    def __init__(self, ingest: LogIngest) -> None:
        self._ingest = ingest

    async def PushLogs(
        self, request_iterator: AsyncIterator[pb.PushLogsRequest], context: Context
    ) -> AsyncIterator[pb.PushLogsResponse]:
        session = node_session()
        resume = LogResume()
        # Storing takes a few statements however many lines there are, so batches that came meanwhile go together.
        async with aclosing(gathered(request_iterator, _AT_ONCE_BYTES)) as batches:
            async for requests in batches:
                await self._ingest.push(session, resume, lines_from_proto(requests, datetime.now(UTC)))
                yield pb.PushLogsResponse(sequence=requests[-1].sequence)
