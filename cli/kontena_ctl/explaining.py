"""What the master answered, in words: what was asked, what is wrong with which attribute, and what to try next."""

from kontena_client import ApiError, KontenaError, Unreachable
from kontena_ctl.failures import Failure

_HINTS = {
    401: ("the token is unknown or over: kctl login URL",),
    403: ("kctl user whoami shows your roles",),
    409: ("look at it again and repeat",),
    412: ("somebody changed it meanwhile: look at it again and repeat",),
    429: ("wait a moment and repeat",),
    503: ("repeat in a moment", "kctl status"),
    504: ("repeat in a moment", "kctl status"),
}


def failure_of(error: Exception) -> Failure | None:
    """The failure that an error of the client library is; None for others."""
    if isinstance(error, Unreachable):
        return Failure(
            f"{error.url} does not answer: {error.reason} ({error.asked}).",
            "kctl ctx ls shows where you are",
            "kctl status",
        )
    if isinstance(error, ApiError):
        return _refused(error)
    return Failure(str(error)) if isinstance(error, KontenaError) else None


def _refused(error: ApiError) -> Failure:
    asked = f"{error.asked} was answered with {error.status}"
    if error.fields:
        attributes = [f"{name}: {text}" for name, text in error.fields.items()]
        return Failure(f"{asked}: wrong {'attribute' if len(attributes) == 1 else 'attributes'}", *attributes)
    hints = _HINTS.get(error.status, ())
    if error.status >= 500 and error.request_id:
        hints = (*hints, f"request id for the master's logs: {error.request_id}")
    return Failure(f"{asked}: {error.message}", *hints)
