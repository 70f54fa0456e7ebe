"""Rules for minting tokens and codes with an access token (docs/spec/auth_grid.md section 7.5)."""

import re
from typing import Literal

from services.auth_svc.domain.parameters import Parameters
from services.kernel.errors import OAuthError
from services.kernel.validation import clean

SCOPES = ("user", "owner")
REQUIRED_SCOPE = "user"
# Less than the rights of the owner. Each stands alone.
READ_SCOPE = "read"

_DEPLOY_SCOPE = re.compile(r"grid:([A-Za-z0-9_-]{1,200}):deploy", re.ASCII)
_LONGEST_DEPLOY_SECONDS = 366 * 24 * 3600

_SECONDS = re.compile(r"-?\d+", re.ASCII)
# Clients see seconds left as a 32-bit number.
_LONGEST_SECONDS = 2**31 - 1
_LONGEST_DESCRIPTION = 1000

ResponseType = Literal["token", "code", "invite"]


def response_type(parameters: Parameters) -> ResponseType:
    """What the caller asks for; `access_token` is another name for `token`. Raises OAuthError."""
    match parameters.text("response_type"):
        case "token" | "access_token":
            return "token"
        case "code":
            return "code"
        case "invite":
            return "invite"
        case _:
            text = "Unsupported response type. Supported: code, token, invite"
            raise OAuthError(400, "unsupported_response_type", text)


def requested_scope(parameters: Parameters) -> str:
    """The scope as given; the alias `access_token` defaults to `user`. Raises OAuthError when there is none."""
    scope = parameters.text("scope")
    if scope is None and parameters.text("response_type") == "access_token":
        return REQUIRED_SCOPE
    if scope is None:
        text = "The request needs a scope: user, owner or user,owner; read; or grid:NAME:deploy"
        raise OAuthError(400, "invalid_scope", text)
    return scope


def parse_scopes(text: str) -> tuple[str, ...]:
    """Comma separated scopes in the order given, white space and repetitions removed. Raises OAuthError."""
    scopes = tuple(dict.fromkeys("".join(text.split()).split(",")))
    if len(scopes) == 1 and (scopes[0] == READ_SCOPE or deploy_grid(scopes)):
        return scopes
    if not all(scope in SCOPES for scope in scopes):
        raise OAuthError(400, "invalid_request", "scope: invalid")
    return scopes


def parse_lifetime(text: str | None) -> int | None:
    """Seconds a token lasts; None, from a missing, zero or negative value, means for ever. Raises OAuthError."""
    if text is None:
        return None
    text = text.strip()
    if _SECONDS.fullmatch(text) is None:
        raise OAuthError(400, "invalid_request", "expires_in: integer")
    if len(text) > len(str(_LONGEST_SECONDS)) + 1 or int(text) > _LONGEST_SECONDS:
        raise OAuthError(400, "invalid_request", "expires_in: max")
    seconds = int(text)
    return seconds if seconds > 0 else None


def deploy_grid(scopes: tuple[str, ...]) -> str | None:
    """The name of the grid that a token is for, when it is for one."""
    found = _DEPLOY_SCOPE.fullmatch(scopes[0]) if len(scopes) == 1 else None
    return found[1] if found else None


def check_lifetime(scopes: tuple[str, ...], seconds: int | None) -> None:
    """A token for a grid lies about in files of a CI: it ends by itself. Raises OAuthError."""
    if deploy_grid(scopes) and not (seconds and seconds <= _LONGEST_DEPLOY_SECONDS):
        text = f"expires_in: a token for a grid needs one, of at most {_LONGEST_DEPLOY_SECONDS} seconds"
        raise OAuthError(400, "invalid_request", text)


def parse_description(text: str | None) -> str | None:
    """Free text of the creator. Raises OAuthError."""
    if text is None:
        return None
    description = clean(text)
    if len(description) > _LONGEST_DESCRIPTION:
        raise OAuthError(400, "invalid_request", "description: max")
    return description or None
