"""Why an agent gets no session, or has none any longer (docs/spec/auth_grid.md section 14.4)."""

from enum import StrEnum

import grpc

_FAILED, _UNKNOWN = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNAUTHENTICATED


class SessionReason(StrEnum):
    """The reason for programs, as ErrorInfo has it; `close` is the number that the health of a node shows."""

    close: int
    code: grpc.StatusCode
    http_status: int

    def __new__(
        cls, reason: str, close: int, code: grpc.StatusCode = _FAILED, http_status: int = 409
    ) -> "SessionReason":
        made = str.__new__(cls, reason)
        made._value_ = reason
        made.close, made.code, made.http_status = close, code, http_status
        return made

    @property
    def fatal(self) -> bool:
        """Somebody has to act before the master accepts this agent again; it keeps asking, slowly."""
        return self.code is not grpc.StatusCode.ABORTED

    MISSING_NODE_ID = "MISSING_NODE_ID", 4000, grpc.StatusCode.INVALID_ARGUMENT, 400
    INVALID_GRID_TOKEN = "INVALID_GRID_TOKEN", 4001, _UNKNOWN, 401
    INVALID_NODE_TOKEN = "INVALID_NODE_TOKEN", 4002, _UNKNOWN, 401
    NODE_TOKEN_IN_USE = "NODE_TOKEN_IN_USE", 4003
    MISSING_TOKEN = "MISSING_TOKEN", 4004, _UNKNOWN, 401
    NODE_HAS_TOKEN = "NODE_HAS_TOKEN", 4005
    NODE_ID_IN_USE = "NODE_ID_IN_USE", 4006
    NODE_KEY_REFUSED = "NODE_KEY_REFUSED", 4007, _UNKNOWN, 401
    VERSION_MISMATCH = "VERSION_MISMATCH", 4010
    GRID_FULL = "GRID_FULL", 1006, grpc.StatusCode.RESOURCE_EXHAUSTED, 409
    HEARTBEAT_TIMEOUT = "HEARTBEAT_TIMEOUT", 4030, grpc.StatusCode.ABORTED, 408
    SESSION_RESET = "SESSION_RESET", 4031, grpc.StatusCode.ABORTED, 409
    NODE_REMOVED = "NODE_REMOVED", 4040
    SESSION_SUPERSEDED = "SESSION_SUPERSEDED", 4041
    AGENT_SUPERSEDED = "AGENT_SUPERSEDED", 4041
