"""A login at an external provider, from an authorization request to a redirect with a code
(docs/spec/auth_grid.md sections 7.2 and 7.3)."""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode, urlsplit, urlunsplit

from services.auth_svc.domain import authorization
from services.auth_svc.domain.provider import Provider, split_uri
from services.kernel.errors import OAuthError
from services.kernel.validation import clean

# How long a login may take.
REQUEST_LIFETIME = timedelta(hours=1)
# How long the code of a login waits to be exchanged (RFC 6749 section 4.1.2): it was shown in a browser's address.
CODE_SECONDS = 600
CODE_PAGE = "/code"

_LOCALHOST = "localhost"
_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A login that was begun. `user_id` is who has to log in, None when anybody may; `expires_in` None is for ever.
    `invite_digest` names the invitation that it accepts, `browser_digest` what the browser that began it keeps."""

    id: str
    redirect_uri: str
    expires_in: int | None
    user_id: str | None
    invite_digest: bytes | None = None
    browser_digest: bytes | None = None

    @property
    def needs_browser(self) -> bool:
        """Whether the browser that ends it must be the one that began it: where it hands the code on by itself, or ties
        an account that a token named. A command line begins logins that end on the page that shows codes: the browser
        is another client then, and a person carries the code over."""
        bound = self.user_id is not None and self.invite_digest is None
        return self.browser_digest is not None and (self.redirect_uri != CODE_PAGE or bound)


@dataclass(frozen=True, slots=True)
class ProviderUser:
    """Who logged in, as the provider says."""

    id: str | None
    email: str | None = None
    name: str | None = None
    email_verified: bool = False


def not_configured() -> OAuthError:
    """There is no provider to log in at."""
    return OAuthError(501, "server_error", "Authentication provider not configured")


def valid_redirect_uri(text: str) -> str:
    """Where a login may end: a web address on localhost, or the page that shows codes. Raises OAuthError."""
    if not text.strip():
        raise OAuthError(400, "invalid_request", "Missing redirect_uri")
    parts = split_uri(text.strip())
    if parts is not None and parts.hostname == _LOCALHOST and parts.scheme in ("http", "https"):
        return text.strip()
    if parts is not None and not parts.netloc and not parts.scheme and parts.path == CODE_PAGE:
        return CODE_PAGE
    raise OAuthError(400, "invalid_request", "Invalid redirect_uri")


def lifetime(text: str) -> int | None:
    """Seconds a token of this login lasts; None, for ever, for anything that is not a positive number."""
    try:
        return authorization.parse_lifetime(text)
    except OAuthError:
        return None


def destination(redirect_uri: str, code: str, server_name: str | None) -> str:
    """Where the browser goes after a login. The page that shows codes gets it where no server sees it."""
    fields = {"code": code} | ({"server_name": server_name[:_LONGEST_TEXT]} if server_name else {})
    parts = split_uri(redirect_uri)
    if parts is None or not parts.netloc:
        return f"{CODE_PAGE}#{urlencode(fields)}"
    return urlunsplit(parts._replace(query=urlencode(fields), fragment=""))


def cookie_name(state: str) -> str:
    """Of the cookie with which a browser shows that it began the login with this state."""
    return f"kontena_login_{state[:8]}"


def cookie(state: str, value: str, provider: Provider) -> str:
    """Sets the cookie, or removes it with an empty value; only the callback gets it, and no script."""
    secure = "; Secure" if provider.callback.startswith("https:") else ""
    age = int(REQUEST_LIFETIME.total_seconds()) if value else 0
    path = urlsplit(provider.callback).path
    return f"{cookie_name(state)}={value}; Max-Age={age}; Path={path}; HttpOnly; SameSite=Lax{secure}"


def provider_refusal(error: str, description: str, uri: str) -> OAuthError:
    """The provider sent the browser back with an error."""
    details = [clean(text)[:_LONGEST_TEXT] for text in (description, uri) if text.strip()]
    text = f"Authentication provider returned an error: {clean(error)[:_LONGEST_TEXT]}"
    return OAuthError(502, "server_error", " ".join((text, *details)))


def check_email(user: ProviderUser) -> None:
    """Refuse what cannot be an e-mail. Raises OAuthError."""
    if user.email is not None and "@" not in user.email:
        raise OAuthError(400, "invalid_request", f"Invalid email address '{clean(user.email)[:_LONGEST_TEXT]}'")


def no_passwords(user_agent: str) -> str:
    """What a client that sends a password is told."""
    text = "Logging in with a password is not supported. Use an access token or an authorization code."
    return f"{text} Please upgrade the kontena CLI." if user_agent.startswith("kontena-cli") else text
