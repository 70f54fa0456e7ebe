"""Events from nodes, and as the JSON documents that clients read (docs/spec/deploy_rest.md section 8)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from kontena.deploy.v1 import event_log_pb2 as pb
from kontena.deploy.v1 import grid_event_pb2
from services.clients.nodes import Node
from services.deploy_svc.domain.event import Event, NodeEvent, StoredEvent
from services.deploy_svc.domain.log_query import LogQuery, format_log_id, parse_query
from services.deploy_svc.domain.log_scope import EventScope
from services.kernel.times import rfc3339, told

_LONGEST = 4000

_Request = pb.ListGridEventLogsRequest | pb.ListStackEventLogsRequest | pb.ListServiceEventLogsRequest


def query_from_proto(request: _Request) -> LogQuery:
    """The selection of a request."""
    return parse_query(limit=request.limit, after=getattr(request, "from"), since=request.since, follow=request.follow)


def event_from_proto(event: pb.NodeEvent) -> NodeEvent:
    """An event of a node; texts are cut, as a node's word is not checked by anybody else."""
    return NodeEvent(
        id=event.id[:100],
        service_id=event.service_id[:24],
        instance_number=event.instance_number,
        severity=event.severity,
        type=event.type,
        message=event.message[:_LONGEST],
        time=told(event.time) or datetime.now(UTC),
    )


def grid_event_from_proto(event: grid_event_pb2.GridEvent) -> Event:
    """An event of another service of the suite."""
    return Event(
        grid_id=event.grid_id,
        type=event.type,
        message=event.message,
        severity=event.severity,
        time=told(event.time) or datetime.now(UTC),
    )


def event_to_json(scope: EventScope, nodes: Mapping[str, Node], event: StoredEvent) -> dict[str, Any]:
    """An event as clients read it. What does not exist any more is not among the relationships."""
    related = [(scope.grid, "grid")]
    if event.stack is not None:
        related.append((f"{scope.grid}/{event.stack}", "stack"))
    if event.service is not None:
        related.append((f"{scope.grid}/{'/'.join(event.service)}", "service"))
    if event.volume is not None:
        related.append((f"{scope.grid}/{event.volume}", "volume"))
    if event.node_id is not None and event.node_id in nodes:
        related.append((f"{scope.grid}/{nodes[event.node_id].name}", "node"))
    return {
        "id": format_log_id(event.id),
        "created_at": rfc3339(event.time),
        "severity": event.severity,
        "type": event.type,
        "message": event.message,
        "meta": None if event.instance_number is None else {"instance_number": event.instance_number},
        "relationships": [{"id": path, "type": kind} for path, kind in related],
    }
