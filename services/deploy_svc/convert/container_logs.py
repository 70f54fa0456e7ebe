"""Log lines from nodes, and as the JSON documents that clients read (spec/deploy_rest.md section 7.4)."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from kontena.deploy.v1 import assignment_pb2 as agent_pb
from kontena.deploy.v1 import container_log_pb2 as pb
from services.deploy_svc.convert.times import from_timestamp, rfc3339
from services.deploy_svc.domain.log_line import LogLine, StoredLine
from services.deploy_svc.domain.log_query import LogQuery, format_log_id, parse_query
from services.deploy_svc.domain.service import Service

_JSON = "application/json"
_LONGEST_LINE = 256 * 1024
# Bytes per message: a long answer leaves in pieces that fit any message limit on the way.
_PIECE = 256 * 1024

KEEP_ALIVE = HttpBody(content_type=_JSON, data=b"\n")


def line_from_proto(line: agent_pb.LogLine, now: datetime) -> LogLine:
    """A line of a node; Postgres takes no NUL characters, so they become U+FFFD."""
    return LogLine(
        container_id=_text(line.container_id),
        container_name=_text(line.container_name),
        service_id=_text(line.service_id)[:24] or None,
        instance_number=line.instance_number or None,
        time=from_timestamp(line.time, now),
        type="stderr" if line.type == "stderr" else "stdout",
        data=_text(line.data)[:_LONGEST_LINE],
    )


def query_from_proto(request: pb.ListServiceLogsRequest) -> LogQuery:
    """The selection of a request."""
    return parse_query(
        limit=request.limit,
        after=getattr(request, "from"),
        since=request.since,
        follow=request.follow,
        instance=request.instance,
        container=request.container,
        search=request.search,
    )


def item(service: Service, line: StoredLine) -> dict[str, Any]:
    """A log item. `container_id` is the beginning of the engine's id, in the form of an id of ours."""
    found: dict[str, Any] = {
        "id": format_log_id(line.id),
        "name": line.container_name,
        "container_id": line.container_id[:24],
        "service": {"id": service.path, "name": service.name},
        "stack": {"id": f"{service.grid}/{service.stack}", "name": service.stack},
        "grid": {"id": service.grid, "name": service.grid},
    }
    if line.node:
        found["node"] = {"name": line.node}
    return {**found, "created_at": rfc3339(line.time), "type": line.type, "data": line.data}


def document(service: Service, line: StoredLine) -> HttpBody:
    """One item as one message, hence one HTTP chunk."""
    return HttpBody(content_type=_JSON, data=_dump(item(service, line)) + b"\n")


def listing(service: Service, lines: Iterable[StoredLine]) -> Iterator[HttpBody]:
    """`{"logs": [...]}`, in one message unless it is long."""
    piece = bytearray(b'{"logs":[')
    for index, line in enumerate(lines):
        piece += (b"," if index else b"") + _dump(item(service, line))
        if len(piece) > _PIECE:
            yield HttpBody(content_type=_JSON, data=bytes(piece))
            piece.clear()
    yield HttpBody(content_type=_JSON, data=bytes(piece + b"]}"))


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _text(text: str) -> str:
    return text.replace("\0", "\ufffd")
