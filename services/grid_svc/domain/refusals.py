"""Refusals of sessions as errors that agents understand: the reason tells fatal ones from those worth a retry."""

from services.grid_svc.domain.session import Refusal
from services.kernel.errors import DomainError


class SessionRefused(DomainError):
    """There is no session, or no longer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message, reason=refusal.reason)
        self.code, self.http_status = refusal.reason.code, refusal.reason.http_status
        self.close = refusal.close
