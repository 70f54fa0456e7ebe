"""Access tokens as their owners see them."""

from services.auth_svc.domain.access_token import AccessToken
from services.auth_svc.store import access_tokens, config, invalidations
from services.auth_svc.usecases import trail
from services.auth_svc.usecases.minting import Mint
from services.kernel.db import Database, Tx
from services.kernel.errors import NotFound, OAuthError, required
from services.kernel.ids import is_id
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.principal import Principal


class AccessTokens:
    """List, show and delete. A token is named by its id or by its value."""

    def __init__(self, db: Database, mint: Mint) -> None:
        self._db = db
        self._mint = mint

    async def list_own(self, caller: Principal, page: Page = WHOLE) -> Listing[AccessToken]:
        """The caller's tokens and unused codes, oldest first."""
        async with self._db.read() as tx:
            return await access_tokens.of_user(tx, caller.user_id, page)

    async def get(self, caller: Principal, name: str) -> tuple[AccessToken, str | None]:
        """One token, and what clients call this installation. Raises NotFound, then OAuthError 403 for a token of
        somebody else."""
        if is_id(name):
            token, server_name = required(await access_tokens.shown(self._db, name))
            return _allowed(caller, token), server_name
        async with self._db.read() as tx:
            return await self._find(tx, caller, name), await config.server_name(self._db)

    async def delete(self, caller: Principal, name: str) -> None:
        """End a token, and all that was minted with it, at once and everywhere. Raises as `get` does."""
        async with self._db.transaction() as tx:
            token = await self._find(tx, caller, name)
            if not await access_tokens.revoke(tx, token.id):
                raise NotFound
            await trail.token(tx, "delete", token)
            minted = await access_tokens.revoke_minted_with(tx, token.family_id)
            for child in minted:
                await trail.token(tx, "revoke", child)
            await invalidations.announce(tx, [token.owner.id, *(child.owner.id for child in minted)])

    async def _find(self, tx: Tx, caller: Principal, name: str) -> AccessToken:
        token = await (
            access_tokens.find(tx, name) if is_id(name) else access_tokens.find_by_value(tx, self._mint.digest(name))
        )
        return _allowed(caller, token)


def _allowed(caller: Principal, found: AccessToken | None) -> AccessToken:
    token = required(found)
    if token.owner.id != caller.user_id and not caller.is_master_admin:
        raise OAuthError(403, "access_denied", "Access denied")
    return token
