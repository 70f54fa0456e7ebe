"""What an ACME server says (RFC 8555 section 7.1), and what its refusals mean to a caller."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.kernel.errors import Unavailable, ValidationFailed

_OF_THE_ACCOUNT = frozenset(
    {
        "agreementRequired",
        "userActionRequired",
        "externalAccountRequired",
        "invalidContact",
        "invalidEmail",
        "unsupportedContact",
        "badPublicKey",
        "badSignatureAlgorithm",
    }
)
# The code of what a server does not have; there is none in RFC 8555.
NOT_FOUND = "notFound"
NOT_REGISTERED = "Registration probably missing for LE"


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to prove control. `content` is what to publish: of a DNS record, or the key authorization."""

    type: str
    token: str
    url: str
    status: str
    content: str = ""
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class AuthorizationAtCa:
    """An authorization as the server sees it; `name` has `*.` for a wildcard."""

    url: str
    name: str
    status: str
    expires_at: datetime | None
    challenges: tuple[Challenge, ...]

    def challenge(self, wanted: str) -> Challenge | None:
        """The challenge of a type, if it is offered."""
        return next((one for one in self.challenges if one.type == wanted), None)

    @property
    def problem(self) -> str:
        """Why it is invalid."""
        found = (one.problem for one in self.challenges if one.problem)
        return next(found, "The authority gave no reason.")


@dataclass(frozen=True, slots=True)
class OrderAtCa:
    """An order as the server sees it."""

    url: str
    status: str
    authorizations: tuple[str, ...]
    finalize: str
    certificate: str | None
    problem: str | None = None


@dataclass(slots=True)
class AcmeProblem(Exception):
    """A problem document (RFC 7807) of the server. `code` is the last part of its type."""

    code: str
    detail: str
    retry_after: str | None = None
    parts: tuple[str, ...] = field(default=())

    @property
    def without_account(self) -> bool:
        """Whether the server does not know the account, or not any more."""
        return self.code in {"accountDoesNotExist", "unauthorized"}

    def text(self) -> str:
        """The detail with what the server says of each identifier."""
        return "; ".join((self.detail, *self.parts))


class AcmeUnreachable(Unavailable):
    """The server does not answer, or is no ACME server. Nothing is lost: the same request can be sent again."""

    def __init__(self, host: str) -> None:
        super().__init__(f"ACME server not reachable: {host}", reason="ACME_UNREACHABLE")


class AcmeRefused(ValidationFailed):
    """A refusal by the server, told with the time after which it may answer differently."""

    def __init__(self, errors: dict[str, Any], retry_after: str | None = None) -> None:
        super().__init__(errors)
        self._retry_after = retry_after

    def headers(self) -> dict[str, str]:
        return {"retry-after": self._retry_after} if self._retry_after else {}


def refusal(problem: AcmeProblem, *, registering: bool = False) -> ValidationFailed:
    """What the caller is told about a problem (docs/spec/vault.md section 6.7)."""
    if registering or problem.code in _OF_THE_ACCOUNT:
        return AcmeRefused({"acme": problem.text()}, problem.retry_after)
    if problem.without_account:
        return AcmeRefused({"acme_client": NOT_REGISTERED})
    return AcmeRefused({"acme_client": problem.text()}, problem.retry_after)


def one_answer(attribute: str, texts: Iterable[str]) -> ValidationFailed:
    """All failing domains in one answer."""
    return ValidationFailed({attribute: "; ".join(texts)})
