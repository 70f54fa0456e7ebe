"""The external authentication provider as the configuration describes it (docs/spec/auth_grid.md section 7.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlencode, urljoin, urlsplit, urlunsplit

from services.auth_svc.domain import configuration, pkce
from services.auth_svc.domain.configuration import ROOT_URL, SERVER_NAME, Json

PREFIX = "oauth2."
# Whether an account without a login is found by an e-mail that the provider calls verified.
MATCH_EMAIL = PREFIX + "match_email"
# What a configuration must have for `provider_of`, besides all keys that start with PREFIX.
OTHER_KEYS = (ROOT_URL, SERVER_NAME, "cloud.ignore_invalid_ssl")

_SCOPE = "user:email"
# The last alternative of the id is the name OpenID Connect has for it.
_PATHS = {
    "username": "$..username;$..login",
    "email": "$..email;$..emails;$..primary_email",
    "user_id": "$..id;$..uid;$..userid;$..user_id;$..sub",
    "email_verified": "$.email_verified",
}
_URI = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{1,2000}")
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class UserinfoPaths:
    """JSONPaths into what the provider tells about a user; alternatives are separated by semicolons."""

    username: str
    email: str
    user_id: str
    email_verified: str


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider with all that a login needs."""

    client_id: str
    client_secret: str = field(repr=False)
    authorize_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str
    scope: str
    callback: str
    token_by_post: bool
    token_as_json: bool
    code_needs_basic_auth: bool
    userinfo_needs_basic_auth: bool
    verify_tls: bool
    pkce: bool
    match_email: bool
    paths: UserinfoPaths


def provider_of(values: Mapping[str, Json]) -> Provider | None:
    """The configured provider; None when something is missing or is no address."""

    def own(name: str) -> str | None:
        return _short(configuration.text(values, PREFIX + name))

    client_id, client_secret = own("client_id"), own("client_secret")
    authorize, token, userinfo = (_address(own(f"{name}_endpoint")) for name in ("authorize", "token", "userinfo"))
    callback = _callback(configuration.text(values, ROOT_URL))
    if not (client_id and client_secret and authorize and token and userinfo and callback):
        return None
    return Provider(
        client_id=client_id,
        client_secret=client_secret,
        authorize_endpoint=authorize,
        token_endpoint=token,
        userinfo_endpoint=userinfo,
        scope=own("userinfo_scope") or _SCOPE,
        callback=callback,
        token_by_post=(own("token_method") or "post").lower() == "post",
        # A form is what RFC 6749 section 4.1.3 wants.
        token_as_json="json" in (own("token_post_content_type") or "").lower(),
        code_needs_basic_auth=configuration.flag(values, PREFIX + "code_requires_basic_auth"),
        userinfo_needs_basic_auth=configuration.flag(values, PREFIX + "userinfo_requires_basic_auth"),
        verify_tls=not any(configuration.flag(values, f"{area}.ignore_invalid_ssl") for area in ("oauth2", "cloud")),
        pkce=not configuration.denied(values, PREFIX + "pkce"),
        match_email=configuration.flag(values, MATCH_EMAIL),
        paths=UserinfoPaths(**{name: own(f"userinfo_{name}_jsonpath") or path for name, path in _PATHS.items()}),
    )


def login_url(provider: Provider, state: str, code_verifier: str) -> str:
    """Where a browser logs in: the authorize endpoint with its query replaced."""
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "scope": provider.scope,
        "state": state,
        "redirect_uri": provider.callback,
    }
    if provider.pkce:
        query |= {"code_challenge": pkce.challenge(code_verifier), "code_challenge_method": "S256"}
    return urlunsplit(urlsplit(provider.authorize_endpoint)._replace(query=urlencode(query), fragment=""))


def invitation_link(provider: Provider, code: str) -> str:
    """What an invited person opens."""
    return urlunsplit(urlsplit(provider.callback)._replace(path=f"/j/{code}"))


def split_uri(text: str) -> SplitResult | None:
    """The parts of a URI; None when it is none, or when it has characters that programs read in different ways."""
    if _URI.fullmatch(text) is None:
        return None
    try:
        parts = urlsplit(text)
        # Evaluated here, because a wrong port raises only when it is asked for.
        return parts if parts.port is None or parts.hostname else None
    except ValueError:
        return None


def _callback(root_url: str | None) -> str | None:
    root = _address(root_url)
    return urljoin(urlunsplit(urlsplit(root)._replace(query="", fragment="")), "cb") if root else None


def _address(text: str | None) -> str | None:
    parts = split_uri(text) if text else None
    return text if parts and parts.scheme in ("http", "https") and parts.hostname else None


def _short(text: str | None) -> str | None:
    return text if text and len(text) <= _LONGEST else None
