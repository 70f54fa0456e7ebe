"""Audit events from the wire."""

from datetime import UTC

from kontena.auth.v1 import audit_pb2 as pb
from services.auth_svc.domain.audit_entry import AuditEntry


def entry_from_proto(event: pb.AuditEvent) -> AuditEntry:
    """The entry of an event."""
    return AuditEntry(
        event_id=event.id,
        time=event.time.ToDatetime(tzinfo=UTC),
        event_name=event.event_name,
        resource_type=event.resource_type,
        resource_id=event.resource_id,
        resource_name=event.resource_name,
        grid_id=event.grid_id,
        grid=event.grid,
        service_id=event.service_id,
        user_id=event.user_id,
        user_email=event.user_email,
        source_ip=event.source_ip,
        user_agent=event.user_agent,
    )
