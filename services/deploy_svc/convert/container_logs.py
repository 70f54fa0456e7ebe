"""Log lines from nodes, and as the JSON documents that clients read (docs/spec/deploy_rest.md section 7.4)."""

from datetime import datetime
from typing import Any

from kontena.deploy.v1 import assignment_pb2 as agent_pb
from kontena.deploy.v1 import container_log_pb2 as pb
from services.deploy_svc.domain.log_line import LogLine, StoredLine, named
from services.deploy_svc.domain.log_query import LogQuery, format_log_id, parse_query
from services.deploy_svc.domain.log_scope import LogScope
from services.kernel.times import rfc3339, told

_LONGEST_LINE = 256 * 1024
_LONGEST_HOOK = 200


def line_from_proto(line: agent_pb.LogLine, now: datetime) -> LogLine:
    """A line of a node; texts are cut."""
    return LogLine(
        container_id=line.container_id,
        container_name=line.container_name,
        service_id=line.service_id[:24] or None,
        instance_number=line.instance_number or None,
        time=told(line.time) or now,
        type="stderr" if line.type == "stderr" else "stdout",
        data=line.data[:_LONGEST_LINE],
        hook=line.hook[:_LONGEST_HOOK] or None,
    )


_Request = pb.ListServiceLogsRequest | pb.ListGridLogsRequest | pb.ListStackLogsRequest | pb.ListContainerLogsRequest


def query_from_proto(request: _Request) -> LogQuery:
    """The selection of a request."""
    own = {name: getattr(request, name) for name in ("instance", "container", "search") if hasattr(request, name)}
    return parse_query(
        limit=request.limit,
        after=getattr(request, "from"),
        since=request.since,
        follow=request.follow,
        **own,
    )


def line_to_json(scope: LogScope, line: StoredLine) -> dict[str, Any]:
    """A log item. `container_id` is the beginning of the engine's id, in the form of an id of ours; `hook` is there
    when a hook wrote the line."""
    line = named(line)
    found: dict[str, Any] = {
        "id": format_log_id(line.id),
        "name": line.container_name,
        "container_id": line.container_id[:24],
    }
    if line.service is not None:
        stack, name = line.service
        found["service"] = {"id": f"{scope.grid}/{stack}/{name}", "name": name}
        found["stack"] = {"id": f"{scope.grid}/{stack}", "name": stack}
        found["grid"] = {"id": scope.grid, "name": scope.grid}
    if line.node:
        found["node"] = {"name": line.node}
    if line.hook is not None:
        found["hook"] = line.hook
    return {**found, "created_at": rfc3339(line.time), "type": line.type, "data": line.data}
