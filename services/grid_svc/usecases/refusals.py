"""Refusals of sessions as errors that agents understand: the reason tells fatal ones from those worth a retry."""

import grpc

from services.grid_svc.domain.session import Refusal
from services.kernel.errors import DomainError

_CODES = {
    "INVALID_GRID_TOKEN": (grpc.StatusCode.UNAUTHENTICATED, 401),
    "INVALID_NODE_TOKEN": (grpc.StatusCode.UNAUTHENTICATED, 401),
    "MISSING_TOKEN": (grpc.StatusCode.UNAUTHENTICATED, 401),
    "MISSING_NODE_ID": (grpc.StatusCode.INVALID_ARGUMENT, 400),
    "NODE_KEY_REFUSED": (grpc.StatusCode.UNAUTHENTICATED, 401),
    "GRID_FULL": (grpc.StatusCode.RESOURCE_EXHAUSTED, 409),
    "SESSION_RESET": (grpc.StatusCode.ABORTED, 409),
    "HEARTBEAT_TIMEOUT": (grpc.StatusCode.ABORTED, 408),
}
_OTHERS = (grpc.StatusCode.FAILED_PRECONDITION, 409)


class SessionRefused(DomainError):
    """There is no session, or no longer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message, reason=refusal.reason)
        self.code, self.http_status = _CODES.get(refusal.reason, _OTHERS)
