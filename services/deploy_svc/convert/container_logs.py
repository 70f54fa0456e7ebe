"""Log lines from nodes, and as the JSON documents that clients read (docs/spec/deploy_rest.md section 7.4)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kontena.deploy.v1 import assignment_pb2 as agent_pb
from kontena.deploy.v1 import container_log_pb2 as pb
from services.deploy_svc.domain.log_line import LogLine, StoredLine, named
from services.deploy_svc.domain.log_query import LogQuery, format_log_id, parse_query
from services.deploy_svc.domain.log_scope import LogScope
from services.deploy_svc.domain.part import Part
from services.kernel.times import rfc3339, told

_LONGEST_LINE = 256 * 1024
_LONGEST_HOOK = 200


def lines_from_proto(requests: Iterable[agent_pb.PushLogsRequest], now: datetime) -> list[LogLine]:
    """The lines of a node; texts are cut."""
    return [
        # In the order of the members: names would take as long as the rest.
        LogLine(
            line.container_id,
            line.container_name,
            line.service_id[:24] or None,
            line.instance_number or None,
            told(line.time) or now,
            "stderr" if line.type == "stderr" else "stdout",
            line.data[:_LONGEST_LINE],
            line.hook[:_LONGEST_HOOK] or None,
        )
        for request in requests
        for line in request.lines
    ]


_Request = pb.ListServiceLogsRequest | pb.ListGridLogsRequest | pb.ListStackLogsRequest | pb.ListContainerLogsRequest


def query_from_proto(request: _Request) -> LogQuery:
    """The selection of a request."""
    own = {name: getattr(request, name) for name in ("instance", "container") if hasattr(request, name)}
    return parse_query(
        limit=request.limit,
        after=getattr(request, "from"),
        since=request.since,
        follow=request.follow,
        before=request.before,
        search=request.search,
        **own,
    )


def unsearched(query: LogQuery, found: Part[StoredLine]) -> dict[str, Any]:
    """What a search did not look at: the parameter that makes the same request go on there. Empty unless there is
    some."""
    if found.until is None:
        return {}
    return {"unsearched": {"before" if query.after is None else "from": format_log_id(found.until)}}


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
