"""Every error the suite raises on purpose.

DomainError
├── InvalidRequest        400  the request cannot be understood
├── Unauthenticated       401  no valid credential
├── Forbidden             403  known caller without the right
├── NotFound              404  no such resource
├── StaleVersion          412  If-Match does not match
├── RequestTooLarge       413  more than the call takes
├── ValidationFailed      422  attributes break a rule
├── RateLimited           429  too many requests
├── Unavailable           503  something we depend on does not answer; retrying later helps
│   ├── NotReady          503  this replica cannot answer what others may
│   ├── Undecryptable     503  a stored value does not open (sealing.py)
│   └── NotHere           503  nothing was done, and another replica may do it
└── OAuthError            4xx  RFC 6749 section 5.2 body

Services derive kinds of their own for callers of their own (sessions of agents, the ACME authority). Raised anywhere,
turned into a gRPC status and an HTTP body in one place (`interceptor.py`). The message is for the caller and
never holds a secret value; the cause, if any, goes to the log.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import grpc

Item = TypeVar("Item")

STOPPING_HEADER = "x-server-stopping"


class StartRefused(Exception):
    """What this process needs will not do, and waiting does not help: it ends, with these words in its log."""


class DomainError(Exception):
    """An outcome the caller can understand: gRPC code, HTTP status, machine-readable reason and a JSON body."""

    code = grpc.StatusCode.UNKNOWN
    http_status = 500
    reason = "ERROR"
    # When to try again, in seconds; None where that would not help.
    retry_seconds: int | None = None
    # What the log is told besides; empty for what needs nobody's attention.
    cause = ""

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if reason is not None:
            self.reason = reason

    def body(self) -> dict[str, Any]:
        """The JSON error body (docs/errors.md)."""
        return {"error": self.message}

    def headers(self) -> dict[str, str]:
        """Extra response headers, lower-case names."""
        return {} if self.retry_seconds is None else {"retry-after": str(self.retry_seconds)}

    def violations(self) -> dict[str, str]:
        """What is wrong by field, for gRPC callers: `deploy_opts.min_health`, `env[1]`."""
        return {}


class InvalidRequest(DomainError):
    """The request cannot be understood; `field` is what makes it so."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    http_status = 400
    reason = "INVALID_REQUEST"

    def __init__(self, message: str, *, field: str = "", reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.field = field

    def violations(self) -> dict[str, str]:
        return {self.field: self.message} if self.field else {}


class Unauthenticated(DomainError):
    """RFC 6750 section 3: the challenge repeats the error."""

    code = grpc.StatusCode.UNAUTHENTICATED
    http_status = 401
    reason = "INVALID_TOKEN"

    def __init__(self, message: str = "Invalid token") -> None:
        super().__init__(message)

    def body(self) -> dict[str, Any]:
        return {"error": "invalid_token", "error_description": self.message}

    def headers(self) -> dict[str, str]:
        challenge = f'Bearer realm="kontena_master", error="invalid_token", error_description="{self.message}"'
        return {"www-authenticate": challenge}


class Forbidden(DomainError):
    """A known caller without the right."""

    code = grpc.StatusCode.PERMISSION_DENIED
    http_status = 403
    reason = "ACCESS_DENIED"

    def __init__(self, message: str = "Access denied", *, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)


class NotFound(DomainError):
    """There is no such resource, or the caller may not know."""

    code = grpc.StatusCode.NOT_FOUND
    http_status = 404
    reason = "NOT_FOUND"

    def __init__(self, message: str = "Not found") -> None:
        super().__init__(message)


def required(item: Item | None, message: str = "Not found") -> Item:
    """What was looked for. Raises NotFound when there is none."""
    if item is None:
        raise NotFound(message)
    return item


class StaleVersion(DomainError):
    """The resource changed since the caller read it."""

    code = grpc.StatusCode.ABORTED
    http_status = 412
    reason = "STALE_VERSION"


class RequestTooLarge(DomainError):
    """The request has more bytes than the call takes."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    http_status = 413
    reason = "REQUEST_TOO_LARGE"


class ValidationFailed(DomainError):
    """`errors` maps attribute names to messages, nested maps or lists (docs/spec/deploy_rest.md section 1.5)."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    http_status = 422
    reason = "VALIDATION_FAILED"

    def __init__(self, errors: Mapping[str, Any]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in errors.items()))
        self.errors = dict(errors)

    def body(self) -> dict[str, Any]:
        return {"error": self.errors}

    def violations(self) -> dict[str, str]:
        return dict(_by_path("", self.errors))


def _by_path(path: str, errors: Any) -> Iterator[tuple[str, str]]:
    if isinstance(errors, Mapping):
        for name, problem in errors.items():
            yield from _by_path(f"{path}.{name}" if path else str(name), problem)
    elif isinstance(errors, list | tuple):
        for index, problem in enumerate(errors):
            yield from _by_path(f"{path}[{index}]", problem)
    elif errors is not None:
        yield path, str(errors)


class RateLimited(DomainError):
    """The caller must slow down."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    http_status = 429
    reason = "RATE_LIMITED"

    def __init__(self, message: str, *, reason: str | None = None, retry_seconds: int | None = None) -> None:
        super().__init__(message, reason=reason)
        self.retry_seconds = retry_seconds


class Unavailable(DomainError):
    """Something this request depends on does not answer."""

    code = grpc.StatusCode.UNAVAILABLE
    http_status = 503
    reason = "UNAVAILABLE"
    retry_seconds = 1


class NotReady(Unavailable):
    """This replica cannot answer, for a reason that others need not share, so health checks send callers to them."""

    reason = "NOT_READY"


class NotHere(Unavailable):
    """This replica has done nothing and another one may do it: the header lets the gateway, and replicas that relay
    calls, try there."""

    reason = "SERVER_STOPPING"

    def headers(self) -> dict[str, str]:
        return {**super().headers(), STOPPING_HEADER: "true"}


class OAuthError(DomainError):
    """An error of the OAuth2 endpoints: `error` is a code of RFC 6749, the description is for people."""

    def __init__(self, http_status: int, error: str, description: str | None = None) -> None:
        super().__init__(description or error, reason=error.upper())
        self.http_status = http_status
        self.error = error
        self.description = description
        self.code = _OAUTH_CODES.get(http_status, grpc.StatusCode.INVALID_ARGUMENT)

    def body(self) -> dict[str, Any]:
        body = {"error": self.error}
        if self.description is not None:
            body["error_description"] = self.description
        return body


_OAUTH_CODES = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    501: grpc.StatusCode.UNIMPLEMENTED,
    502: grpc.StatusCode.UNAVAILABLE,
}
