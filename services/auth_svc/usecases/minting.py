"""Makes token values and stores new tokens; the only place that holds the digest key and draws random values."""

import secrets
from datetime import datetime

from services.auth_svc.domain import access_token as rules
from services.auth_svc.domain import digest, pkce
from services.auth_svc.domain.access_token import UNBOUND, AccessToken, Bounds, IssuedToken, Owner, Values
from services.auth_svc.store import access_tokens
from services.kernel import db
from services.kernel.db import AnyTx, Tx
from services.kernel.ids import new_id


class Mint:
    """Stores digests, hands out values once."""

    def __init__(self, digest_key: bytes) -> None:
        self._key = digest_key

    def digest(self, value: str) -> bytes:
        """What a value is looked up by."""
        return digest.digest(self._key, value)

    def code_verifier(self, state: str) -> str:
        """Proves to the provider that its code belongs to the login with this state."""
        return pkce.verifier(self._key, state)

    async def token(
        self,
        tx: AnyTx,
        owner: Owner,
        scopes: tuple[str, ...],
        *,
        lifetime: int | None = None,
        description: str | None = None,
        bounds: Bounds = UNBOUND,
    ) -> IssuedToken:
        """A new bearer token, with a refresh token when it expires and has all rights of its owner. `lifetime` is in
        seconds."""
        now = await db.now(tx)
        token = rules.first(
            "bearer",
            new_id(),
            owner,
            scopes,
            expires_at=rules.expiry(now, lifetime),
            description=description,
            bounds=bounds,
        )
        return await self._store(tx, token, now)

    async def code(
        self,
        tx: AnyTx,
        owner: Owner,
        scopes: tuple[str, ...],
        *,
        lifetime: int | None = None,
        description: str | None = None,
        value: str | None = None,
        usable: int | None = None,
        bounds: Bounds = UNBOUND,
    ) -> IssuedToken:
        """A new authorization code; `value` when it is not to be a random one. It ends with the token it would become,
        or after `usable` seconds."""
        now = await db.now(tx)
        code = rules.first(
            "authorization_code",
            new_id(),
            owner,
            scopes,
            expires_at=rules.expiry(now, lifetime),
            description=description,
            bounds=bounds,
        )
        return await self._store(tx, code, now, value, usable)

    async def exchanged(self, tx: Tx, code: AccessToken) -> IssuedToken:
        """The token for a used code: it ends when the code would have."""
        now = await db.now(tx)
        return await self._store(tx, rules.successor(code, new_id(), code.expires_at), now)

    async def refreshed(self, tx: Tx, used: AccessToken) -> IssuedToken:
        """The token for a used refresh token."""
        now = await db.now(tx)
        expires_at = rules.expiry(now, rules.REFRESHED_SECONDS)
        return await self._store(tx, rules.successor(used, new_id(), expires_at), now)

    async def _store(
        self, tx: AnyTx, token: AccessToken, now: datetime, code: str | None = None, usable: int | None = None
    ) -> IssuedToken:
        issued = rules.issue(token, _draw(token, code), now)
        digests = digest.digests(self._key, issued.values)
        await access_tokens.add(tx, issued.token, digests, rules.expiry(now, usable))
        return issued


def _draw(token: AccessToken, code: str | None) -> Values:
    if token.kind == "authorization_code":
        return Values(code=code or secrets.token_hex(16))
    # What was given for a time ends then: it cannot be made to last by refreshing.
    refresh = None if token.expires_at is None or token.limited else secrets.token_hex(64)
    return Values(access=secrets.token_hex(32), refresh=refresh)
