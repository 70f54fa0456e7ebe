"""The OAuth2 endpoints: exchange a grant for a token, mint tokens and codes."""

from services.auth_svc.domain import authorization, grant
from services.auth_svc.domain.access_token import Bounds, IssuedToken, Owner
from services.auth_svc.domain.grant import CodeGrant, RefreshGrant
from services.auth_svc.domain.parameters import Parameters
from services.auth_svc.domain.quotas import AuthQuotas
from services.auth_svc.store import access_tokens, invalidations, users
from services.auth_svc.usecases import trail
from services.auth_svc.usecases.minting import Mint
from services.clients.grids import GridDirectory
from services.kernel.db import AnyTx, Database, Tx
from services.kernel.errors import Forbidden, NotFound, OAuthError, Unauthenticated
from services.kernel.logs import get_logger
from services.kernel.principal import Principal
from services.kernel.validation import clean

log = get_logger(__name__)


class OAuth:
    """Every failure is an OAuthError."""

    def __init__(self, db: Database, mint: Mint, grids: GridDirectory, quotas: AuthQuotas) -> None:
        self._db = db
        self._quotas = quotas
        self._mint = mint
        self._grids = grids

    async def exchange(self, parameters: Parameters) -> IssuedToken:
        """Redeem a code or a refresh token. Each works once, however many requests try at the same time."""
        match grant.grant_of(parameters):
            case CodeGrant(code):
                return await self._exchange_code(code)
            case RefreshGrant(refresh_token):
                return await self._refresh(refresh_token)

    async def authorize(self, caller: Principal, parameters: Parameters) -> IssuedToken:
        """Make a token or a code for the caller or, as a master_admin, for another user. It ends with the caller's
        token."""
        kind = authorization.response_type(parameters)
        if authorization.REQUIRED_SCOPE not in caller.scopes:
            raise OAuthError(403, "access_denied", "The access token needs the scope user")
        scope = authorization.requested_scope(parameters)
        async with self._db.prepared() as tx:
            owner = await _owner(tx, caller, parameters.text("user"))
            scopes = authorization.parse_scopes(scope)
            lifetime = authorization.parse_lifetime(parameters.text("expires_in"))
            authorization.check_lifetime(scopes, lifetime)
            description = authorization.parse_description(parameters.text("description"))
            bounds = Bounds(await _parent(tx, caller), await self._grid_of(caller, scopes))
            if await access_tokens.count(tx, owner.id) >= self._quotas.tokens_per_user:
                raise OAuthError(422, "quota_exceeded", self._quotas.text("tokens_per_user"))
            make = self._mint.token if kind == "token" else self._mint.code
            issued = await make(tx, owner, scopes, lifetime=lifetime, description=description, bounds=bounds)
            await trail.token(tx, "create", issued.token)
        return issued

    async def _grid_of(self, caller: Principal, scopes: tuple[str, ...]) -> str | None:
        name = authorization.deploy_grid(scopes)
        if name is None:
            return None
        try:
            return (await self._grids.accessible(caller, name)).id
        except (NotFound, Forbidden):
            raise OAuthError(400, "invalid_scope", f"There is no grid {name} that you belong to") from None

    async def _exchange_code(self, code: str) -> IssuedToken:
        async with self._db.transaction() as tx:
            used = await access_tokens.consume_code(tx, self._mint.digest(code))
            if used is None:
                raise OAuthError(400, "invalid_grant", "The authorization code is unknown, too old or was used before")
            issued = await self._mint.exchanged(tx, used)
            await trail.token(tx, "create", issued.token, by=issued.token.owner.principal())
        return issued

    async def _refresh(self, refresh_token: str) -> IssuedToken:
        async with self._db.transaction() as tx:
            issued = await self._rotate(tx, self._mint.digest(refresh_token))
        # Raised after the commit: what a reused token ends must stay ended.
        if issued is None:
            raise OAuthError(400, "invalid_grant", "The refresh token is unknown or was used before")
        return issued

    async def _rotate(self, tx: Tx, digest: bytes) -> IssuedToken | None:
        family_id = await access_tokens.lock_family_of_refresh(tx, digest)
        if family_id is None:
            return None
        used = await access_tokens.consume_refresh(tx, digest)
        if used is None:
            if await access_tokens.was_consumed(tx, digest):
                await self._end_family(tx, family_id)
            return None
        issued = await self._mint.refreshed(tx, used)
        await invalidations.announce(tx, [used.owner.id])
        await trail.token(tx, "refresh", issued.token, by=issued.token.owner.principal())
        return issued

    async def _end_family(self, tx: Tx, family_id: str) -> None:
        """A used refresh token came back, so someone has a copy of it (RFC 9700 section 4.14.2)."""
        ended = await access_tokens.revoke_family(tx, family_id)
        ended += await access_tokens.revoke_minted_with(tx, family_id)
        for token in ended:
            await trail.token(tx, "revoke", token)
        await invalidations.announce(tx, [token.owner.id for token in ended])
        log.warning("a refresh token was used twice", family=family_id, ended=len(ended))


async def _owner(tx: AnyTx, caller: Principal, email: str | None) -> Owner:
    email = caller.email if email is None else clean(email)
    if email != caller.email and not caller.is_master_admin:
        raise OAuthError(403, "access_denied", "You do not have the permission to create invites")
    owner = await users.find_owner(tx, email)
    if owner is None:
        raise OAuthError(404, "not_found", "There is no user with this e-mail")
    return owner


async def _parent(tx: AnyTx, caller: Principal) -> str:
    family_id = await access_tokens.hold_family(tx, caller.token_id)
    if family_id is None:  # It ended a moment ago.
        raise Unauthenticated
    return family_id
