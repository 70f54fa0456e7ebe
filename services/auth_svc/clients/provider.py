"""Calls of the authentication provider: code for token, token for user (RFC 6749 section 4.1.3).

Why httpx does it without an OAuth2 library: docs/adr/0006-provider-with-httpx.md.
"""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from services.auth_svc.clients.userinfo import user_of
from services.auth_svc.domain.login import ProviderUser
from services.auth_svc.domain.provider import Provider
from services.kernel.errors import OAuthError
from services.kernel.lean import without
from services.kernel.logs import get_logger
from services.kernel.validation import clean

# Its command line needs three packages more, and nobody calls that here.
with without("click"):
    import httpx

log = get_logger(__name__)

_SECONDS = 15.0
_MOST_BYTES = 1024 * 1024
_MOST_SAID = 200
_FORM = "application/x-www-form-urlencoded"
_PLACEHOLDER = ":access_token"


class ProviderClient:
    """Every failure is one OAuthError; what went wrong goes to the log, without tokens and secrets. Whoever logs in is
    told what the provider itself says (RFC 6749 section 5.2)."""

    async def user(self, provider: Provider, code: str, code_verifier: str) -> ProviderUser:
        """Who logged in with an authorization code of the provider. Raises OAuthError."""
        step = "token"
        try:
            async with asyncio.timeout(_SECONDS), httpx.AsyncClient(verify=provider.verify_tls) as client:
                token = _token(await _send(client, token_request(provider, code, code_verifier)))
                step = "userinfo"
                return user_of(await _send(client, userinfo_request(provider, token)), provider.paths)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, RecursionError) as error:
            said = _without(error.said, code, provider.client_secret) if isinstance(error, _Refusal) else ""
            log.warning("login at the provider failed", step=step, error=_describe(error), said=said)
            told = f": the provider says {said}" if said else ""
            raise OAuthError(400, "access_denied", f"Authentication failed{told}") from None


class _Refusal(ValueError):
    """An answer without success; `said` is the provider's own reason, or nothing."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"status {status}")
        self.said = said


def token_request(provider: Provider, code: str, code_verifier: str) -> httpx.Request:
    """How the provider wants to be asked for a token."""
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": provider.client_id,
        "client_secret": provider.client_secret,
        "redirect_uri": provider.callback,
    }
    if provider.pkce:
        fields["code_verifier"] = code_verifier
    headers = {"Accept": "application/json"}
    if provider.code_needs_basic_auth:
        headers["Authorization"] = _basic(provider)
    if not provider.token_by_post:
        url = urlunsplit(urlsplit(provider.token_endpoint)._replace(query=urlencode(fields)))
        return httpx.Request("GET", url, headers=headers)
    if provider.token_as_json:
        return httpx.Request("POST", provider.token_endpoint, headers=headers, json=fields)
    return httpx.Request("POST", provider.token_endpoint, headers=headers, data=fields)


def userinfo_request(provider: Provider, token: str) -> httpx.Request:
    """How the provider wants to be asked who a token stands for."""
    parts = urlsplit(provider.userinfo_endpoint)
    url = urlunsplit(parts._replace(path=parts.path.replace(_PLACEHOLDER, quote(token, safe=""))))
    authorization = _basic(provider) if provider.userinfo_needs_basic_auth else f"Bearer {token}"
    return httpx.Request("GET", url, headers={"Accept": "application/json", "Authorization": authorization})


async def _send(client: httpx.AsyncClient, request: httpx.Request) -> Any:
    """The document of an answer, JSON or form. Redirects are not followed: they would carry the token elsewhere."""
    response = await client.send(request, stream=True)
    try:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise ValueError("the answer is too long")
    finally:
        await response.aclose()
    if response.status_code not in (200, 201):
        raise _Refusal(response.status_code, _reason(bytes(body), response))
    return _document(bytes(body), response)


def _document(body: bytes, response: httpx.Response) -> Any:
    text = body.decode("utf-8")
    if response.headers.get("content-type", "").lower().startswith(_FORM):
        return dict(parse_qsl(text))
    return json.loads(text)


def _reason(body: bytes, response: httpx.Response) -> str:
    """`invalid_client (what that means)`, as far as the answer says so."""
    try:
        document = _document(body, response)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict) or not isinstance(document.get("error"), str):
        return ""
    more = document.get("error_description")
    return clean(f"{document['error']} ({more})" if isinstance(more, str) and more else document["error"])[:_MOST_SAID]


def _without(text: str, *secrets: str) -> str:
    """A provider that quotes what it was sent must not have it shown."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "...")
    return text


def _token(document: Any) -> str:
    token = document.get("access_token") if isinstance(document, dict) else None
    if not isinstance(token, str) or not token:
        raise ValueError("there is no access_token in the answer")
    return token


def _basic(provider: Provider) -> str:
    auth = httpx.BasicAuth(provider.client_id, provider.client_secret)
    request = next(auth.auth_flow(httpx.Request("GET", provider.token_endpoint)))
    return str(request.headers["Authorization"])


def _describe(error: Exception) -> str:
    # Texts of some errors quote the request's address, which may hold a token or the client's secret.
    return str(error)[:200] if type(error) in (ValueError, _Refusal) else type(error).__name__
