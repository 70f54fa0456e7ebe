"""AuditIngestService."""

from google.protobuf.empty_pb2 import Empty

from kontena.auth.v1 import audit_pb2 as pb
from kontena.auth.v1.audit_pb2_grpc import AuditIngestServiceServicer
from services.auth_svc.convert.audit import entry_from_proto
from services.auth_svc.usecases.audit_logs import AuditLogs
from services.kernel.methods import Context


class AuditIngestServicer(AuditIngestServiceServicer):
    def __init__(self, audit_logs: AuditLogs) -> None:
        self._audit_logs = audit_logs

    async def RecordAuditEvents(self, request: pb.RecordAuditEventsRequest, context: Context) -> Empty:
        await self._audit_logs.record([entry_from_proto(event) for event in request.events])
        return Empty()
