"""What a client may exchange for an access token (RFC 6749 sections 4.1.3 and 6)."""

from dataclasses import dataclass, field

from services.auth_svc.domain.parameters import Parameters
from services.kernel.errors import OAuthError


@dataclass(frozen=True, slots=True)
class CodeGrant:
    """An authorization code."""

    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RefreshGrant:
    """A refresh token."""

    refresh_token: str = field(repr=False)


Grant = CodeGrant | RefreshGrant


def grant_of(parameters: Parameters) -> Grant:
    """The grant that a token request carries. Client id and secret are not looked at. Raises OAuthError."""
    match parameters.text("grant_type"):
        case "authorization_code":
            return CodeGrant(_required(parameters, "code", "authorization_code"))
        case "refresh_token":
            return RefreshGrant(_required(parameters, "refresh_token", "refresh_token"))
        case _:
            raise OAuthError(400, "unsupported_grant_type", "grant_type")


def _required(parameters: Parameters, name: str, description: str) -> str:
    value = parameters.text(name)
    if value is None:
        raise OAuthError(400, "invalid_request", description)
    return value.strip()
