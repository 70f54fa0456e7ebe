"""The audit log as clients see it."""

from collections.abc import Callable, Iterable

from kontena.auth.v1 import audit_log_pb2 as pb
from services.auth_svc.domain.audit_entry import RecordedEntry
from services.auth_svc.domain.audit_page import entry_id
from services.kernel.times import shown


def logs_to_proto(entries: Iterable[RecordedEntry], grid_exists: Callable[[str], bool]) -> pb.AuditLogs:
    """Entries in the given order; the id of a grid that is gone is left out."""
    return pb.AuditLogs(logs=[_log(recorded, grid_exists) for recorded in entries])


def _log(recorded: RecordedEntry, grid_exists: Callable[[str], bool]) -> pb.AuditLog:
    entry = recorded.entry
    return pb.AuditLog(
        id=entry_id(recorded.number),
        grid=entry.grid or None,
        grid_id=entry.grid_id if entry.grid_id and grid_exists(entry.grid_id) else None,
        service=entry.service_id,
        resource_type=entry.resource_type,
        resource_name=entry.resource_name or None,
        resource_id=entry.resource_id,
        event_name=entry.event_name,
        event_status="success",
        time=shown(entry.time),
        source_ip=entry.source_ip,
        user_agent=entry.user_agent or None,
        user_identity=pb.UserIdentity(id=entry.user_id, email=entry.user_email),
    )
