"""The call in progress: who calls, from where, which members its JSON body had, and what the answer looks like.

Set by the interceptor for the task that runs the RPC; everything below reads it with `current()`.
"""

import getpass
import os
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from google.protobuf.field_mask_pb2 import FieldMask

from services.kernel.errors import StaleVersion, Unauthenticated
from services.kernel.principal import NodeSession, Principal


@dataclass(slots=True)
class Call:
    """One RPC. `reply_headers` and `http_status` reach HTTP clients through the gateway.

    A call that must not be done twice sets `begun` just before that is possible: from then on nobody is told to repeat
    it. `fates` are the words with which a 503 ends before and after.
    """

    method: str
    request_id: str = ""
    source_ip: str = ""
    user_agent: str = ""
    accept: str = ""
    body_fields: frozenset[str] = frozenset()
    null_fields: frozenset[str] = frozenset()
    if_match: str = ""
    idempotency_key: str = ""
    principal: Principal | None = None
    http_status: int | None = None
    reply_headers: dict[str, str] = field(default_factory=dict)
    begun: bool = False
    fates: tuple[str, str] = ("", "")

    @property
    def fate(self) -> str:
        """What became of it if it ends now; empty when it does not say."""
        return self.fates[self.begun]


_current: ContextVar[Call | None] = ContextVar("call", default=None)


def start(call: Call) -> None:
    """Make `call` the current one of this task."""
    _current.set(call)


def start_command(command: str) -> None:
    """Make what an operator runs on a machine the current call: audit events say what it was and who ran it, which is
    nobody who is known to auth_svc."""
    person, name = os.environ.get("SUDO_USER", ""), getpass.getuser()
    start(Call(method="", user_agent=f"{command}, run by {f'{person} as {name}' if person else name}"))


def current() -> Call:
    """The call of this task; outside an RPC (loops, commands) an empty one."""
    return _current.get() or Call(method="")


def principal() -> Principal:
    """The authenticated caller. Raises Unauthenticated when there is none."""
    caller = current().principal
    if caller is None:
        raise Unauthenticated
    return caller


def accepts(media_type: str) -> bool:
    """Whether the client names this media type among those that it takes."""
    ranges = current().accept.lower().split(",")
    return media_type in {one.partition(";")[0].strip() for one in ranges}


def node_session() -> NodeSession:
    """The session of the agent that calls. Raises Unauthenticated for anybody else."""
    session = principal().node
    if session is None:
        raise Unauthenticated
    return session


def reply_created() -> None:
    """Answer 201 instead of 200 to HTTP clients."""
    current().http_status = 201


def present_fields(mask: FieldMask | None = None) -> frozenset[str]:
    """The attributes a partial update sets: the members of the JSON body that are not null, or `update_mask` of a gRPC
    caller.

    Paths are relative to the body and at most two levels deep, e.g. `env`, `deploy_opts.min_health`.
    """
    named = frozenset(mask.paths) if mask is not None else frozenset[str]()
    return named | current().body_fields


def null_fields() -> frozenset[str]:
    """The members of the JSON body that are null, in the same form. Null counts as absent unless the spec says that it
    clears (docs/spec/auth_grid.md section 1.5)."""
    return current().null_fields


def reply_etag(tag: str) -> None:
    """Name the version of what is answered (RFC 9110 section 8.8.3); `tag` is given without quotes."""
    current().reply_headers["etag"] = f'"{tag}"'


def check_if_match(tag: str) -> None:
    """Raise StaleVersion when the caller wants to change another version than `tag` (RFC 9110 section 13.1.1).

    Call it where the resource is locked, or the check says nothing about what is written.
    """
    wanted = current().if_match
    if wanted and wanted != "*" and tag not in {item.strip().strip('"') for item in wanted.split(",")}:
        raise StaleVersion("The resource changed since you read it")


def from_metadata(method: str, metadata: Mapping[str, str]) -> Call:
    """Read what the gateway tells about a request."""
    fields = frozenset(filter(None, metadata.get("x-body-fields", "").split(",")))
    nulls = frozenset(name for name in fields if name.endswith("!"))
    return Call(
        method=method,
        request_id=metadata.get("x-request-id", ""),
        source_ip=_first(metadata.get("x-forwarded-for", "").split(",")),
        # gRPC words the user agent itself, so whoever calls for another says it apart, also that it has none.
        user_agent=metadata.get("x-user-agent", metadata.get("user-agent", ""))[:512],
        accept=metadata.get("accept", ""),
        body_fields=fields - nulls,
        if_match=metadata.get("if-match", "").strip(),
        idempotency_key=metadata.get("idempotency-key", "").strip(),
        null_fields=frozenset(name.removesuffix("!") for name in nulls),
    )


def _first(parts: Iterable[str]) -> str:
    return next(iter(parts), "").strip()
