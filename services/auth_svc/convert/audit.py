"""Audit events from the wire."""

from datetime import UTC

from kontena.auth.v1 import audit_pb2 as pb
from services.auth_svc.domain.audit_entry import AuditEntry
from services.kernel.members import made_of


def entry_from_proto(event: pb.AuditEvent) -> AuditEntry:
    """The entry of an event."""
    return made_of(AuditEntry, event, event_id=event.id, time=event.time.ToDatetime(tzinfo=UTC))
