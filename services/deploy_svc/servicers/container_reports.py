"""ContainerReportService: decode, call, confirm."""

from collections.abc import AsyncIterator

from kontena.deploy.v1 import container_report_pb2 as pb
from kontena.deploy.v1.container_report_pb2_grpc import ContainerReportServiceServicer
from services.deploy_svc.convert.containers import batch_from_proto
from services.deploy_svc.usecases.container_reports import ContainerReports
from services.kernel.call import node_session
from services.kernel.methods import Context


class ContainerReportServicer(ContainerReportServiceServicer):
    def __init__(self, reports: ContainerReports) -> None:
        self._reports = reports

    async def ReportContainers(
        self, request_iterator: AsyncIterator[pb.ReportContainersRequest], context: Context
    ) -> AsyncIterator[pb.ReportContainersResponse]:
        session = node_session()
        async for request in request_iterator:
            await self._reports.store(session, batch_from_proto(request))
            yield pb.ReportContainersResponse(sequence=request.sequence)
