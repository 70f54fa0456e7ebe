"""AuditLogService."""

from kontena.auth.v1 import audit_log_pb2 as pb
from kontena.auth.v1.audit_log_pb2_grpc import AuditLogServiceServicer
from services.auth_svc.convert.audit_logs import logs_to_proto
from services.auth_svc.domain.audit_page import page
from services.auth_svc.usecases.audit_logs import AuditLogs
from services.kernel import call
from services.kernel.methods import Context


class AuditLogServicer(AuditLogServiceServicer):
    def __init__(self, audit_logs: AuditLogs) -> None:
        self._audit_logs = audit_logs

    async def ListAuditLogs(self, request: pb.ListAuditLogsRequest, context: Context) -> pb.AuditLogs:
        entries = await self._audit_logs.list_all(call.principal(), page(request.limit, request.before))
        return logs_to_proto(entries, await self._audit_logs.existing_grids())

    async def ListGridAuditLogs(self, request: pb.ListGridAuditLogsRequest, context: Context) -> pb.AuditLogs:
        wanted = page(request.limit, request.before)
        entries = await self._audit_logs.list_of_grid(call.principal(), request.grid, wanted)
        return logs_to_proto(entries, lambda _grid_id: True)
