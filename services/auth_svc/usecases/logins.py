"""Logins at the external authentication provider (docs/spec/auth_grid.md sections 7.2 and 7.3)."""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from services.auth_svc.clients.provider import ProviderClient
from services.auth_svc.domain import login
from services.auth_svc.domain.access_token import Owner
from services.auth_svc.domain.authorization import REQUIRED_SCOPE
from services.auth_svc.domain.login import AuthorizationRequest, ProviderUser
from services.auth_svc.domain.provider import login_url
from services.auth_svc.domain.user import ADMIN_EMAIL, User
from services.auth_svc.store import authorization_requests, users
from services.auth_svc.usecases import trail
from services.auth_svc.usecases.config import Config
from services.auth_svc.usecases.introspection import Introspection
from services.auth_svc.usecases.minting import Mint
from services.kernel.db import Database, Tx
from services.kernel.errors import OAuthError
from services.kernel.ids import new_id

_OTHER_BROWSER = (
    "This login was begun in another browser, or at another address than server.root_url says. "
    "Log in again, from the start."
)
_OTHER_LOGIN = "The account belongs to another login at the provider. A master_admin can invite you again."


@dataclass(frozen=True, slots=True)
class Begun:
    """Where a browser goes next, and the cookie it is given on the way."""

    url: str
    cookie: str


class Logins:
    """Every failure is an OAuthError. A login makes no account: that takes an invitation."""

    def __init__(
        self,
        db: Database,
        mint: Mint,
        *,
        config: Config,
        introspection: Introspection,
        provider: ProviderClient,
    ) -> None:
        self._db = db
        self._mint = mint
        self._config = config
        self._introspection = introspection
        self._provider = provider

    async def begin(self, redirect_uri: str, invite_code: str, expires_in: str, token: str | None) -> Begun:
        """Where the browser has to go. `token` is the caller's access token, if any; a bad one counts as none."""
        caller = await self._caller(token)
        async with self._db.transaction() as tx:
            provider = await self._config.provider(tx)
            if provider is None:
                raise login.not_configured()
            redirect_uri = login.valid_redirect_uri(redirect_uri)
            invite = self._mint.digest(invite_code.strip()) if invite_code.strip() else None
            user_id = caller if invite is None else await _invited(tx, invite)
            state, browser = secrets.token_hex(32), secrets.token_hex(32)
            lifetime = login.lifetime(expires_in)
            digest = self._mint.digest(browser)
            request = AuthorizationRequest(new_id(), redirect_uri, lifetime, user_id, invite, digest)
            await authorization_requests.add(tx, request, self._mint.digest(state))
        url = login_url(provider, state, self._mint.code_verifier(state))
        return Begun(url, login.cookie(state, browser, provider))

    async def end(self, state: str, code: str, cookies: Mapping[str, str]) -> Begun:
        """Where the browser has to go with a new code of ours. The state is used up, whatever happens then."""
        async with self._db.transaction() as tx:
            digest = self._mint.digest(state)
            request = await authorization_requests.consume(tx, digest, login.REQUEST_LIFETIME) if state else None
            provider = await self._config.provider(tx)
        if request is None:
            raise OAuthError(400, "invalid_request", "The state is unknown, used or too old. Log in again.")
        if provider is None:
            raise login.not_configured()
        browser = self._mint.digest(cookies.get(login.cookie_name(state), ""))
        if request.needs_browser and not hmac.compare_digest(browser, request.browser_digest or b""):
            raise OAuthError(403, "access_denied", _OTHER_BROWSER)
        if not code:
            raise OAuthError(400, "access_denied", "Authentication failed")
        person = await self._provider.user(provider, code, self._mint.code_verifier(state))
        server_name = await self._config.server_name()
        code = await self._code_for(request, person, match_email=provider.match_email)
        url = login.destination(request.redirect_uri, code, server_name)
        return Begun(url, login.cookie(state, "", provider))

    async def _caller(self, token: str | None) -> str | None:
        """The user a token binds a login to: nobody for the local administrator, who has no account elsewhere.

        An expired token binds nobody: whoever finds one could tie somebody's account to their own at the provider.
        """
        identity = await self._introspection.find(token) if token else None
        if identity is None or identity.expired or identity.principal.email == ADMIN_EMAIL:
            return None
        return None if identity.principal.is_limited else identity.principal.user_id

    async def _code_for(self, request: AuthorizationRequest, person: ProviderUser, *, match_email: bool) -> str:
        async with self._db.transaction() as tx:
            user = await _account(tx, request, person, match_email=match_email)
            if request.user_id is None:
                login.check_email(person)
            if person.id is None:
                raise _invalid_userdata("it has no id")
            invite = request.invite_digest
            if invite is not None and not await users.accept_invitation(tx, user.id, invite):
                raise OAuthError(403, "access_denied", "The invitation was used, or replaced, or is over")
            linked = await users.link(tx, user.id, person.id, person.name, replace=invite is not None)
            if linked is None:
                raise _invalid_userdata("somebody else has this id")
            if not linked:
                raise OAuthError(403, "access_denied", _OTHER_LOGIN)
            owner = Owner(user.id, user.email, user.name or person.name)
            issued = await self._mint.code(
                tx, owner, (REQUIRED_SCOPE,), lifetime=request.expires_in, usable=login.CODE_SECONDS
            )
            caller = owner.principal()
            await trail.user(tx, "authenticate", user, by=caller)
            await trail.token(tx, "create", issued.token, by=caller)
        return str(issued.values.code)


async def _invited(tx: Tx, invite: bytes) -> str:
    user = await users.find_by_invite(tx, invite)
    if user is None:
        raise OAuthError(403, "access_denied", "Invalid invite code")
    return user.id


async def _account(tx: Tx, request: AuthorizationRequest, person: ProviderUser, *, match_email: bool) -> User:
    """The account of whoever logged in. An e-mail counts only where that is configured and the provider says that it
    is verified."""
    user: User | None = None
    if request.user_id is not None:
        user = await users.find(tx, request.user_id)
    else:
        if person.id is not None:
            user = await users.find_by_external_id(tx, person.id)
        if user is None and person.email is not None and person.email_verified and match_email:
            user = await users.find_by_email(tx, person.email)
    if user is None or user.email == ADMIN_EMAIL:
        raise OAuthError(403, "access_denied", "Access denied")
    return user


def _invalid_userdata(reason: str) -> OAuthError:
    return OAuthError(400, "invalid_request", f"Invalid userdata: {reason}")
