"""Invitations: how accounts are made (docs/spec/auth_grid.md section 7.5)."""

import secrets
from datetime import timedelta

from services.auth_svc.domain import login
from services.auth_svc.domain.invitation import Invitation, parse_email, parse_text
from services.auth_svc.domain.parameters import Parameters
from services.auth_svc.domain.provider import invitation_link
from services.auth_svc.domain.user import User
from services.auth_svc.policy import is_above, is_user_admin
from services.auth_svc.store import grid_members, users
from services.auth_svc.usecases import trail
from services.auth_svc.usecases.config import Config
from services.auth_svc.usecases.minting import Mint
from services.kernel.db import Database, Tx
from services.kernel.errors import OAuthError
from services.kernel.ids import new_id
from services.kernel.principal import Principal

_REFUSAL = "You do not have the permission to create invites"


class Invitations:
    """Every failure is an OAuthError."""

    def __init__(self, db: Database, mint: Mint, config: Config, *, lasts: timedelta) -> None:
        self._db = db
        self._mint = mint
        self._config = config
        self._lasts = lasts

    async def invite(self, caller: Principal, parameters: Parameters) -> Invitation:
        """Make an account, or find the one there is, and give it a new code; an older code of it is void."""
        async with self._db.transaction() as tx:
            provider = await self._config.provider(tx)
            if provider is None:
                raise login.not_configured()
            email = parse_email(parameters.text("email"))
            name, external_id = (parse_text(parameters, field) for field in ("username", "external_id"))
            if not is_user_admin(caller):
                raise OAuthError(403, "access_denied", _REFUSAL)
            user = await self._account(tx, caller, email, name, external_id)
            code = secrets.token_hex(16)
            await users.invite(tx, user.id, self._mint.digest(code), by=caller.user_id, lasts=self._lasts)
            await trail.user(tx, "invite", user)
        return Invitation(user.email, code, invitation_link(provider, code))

    async def _account(self, tx: Tx, caller: Principal, email: str, name: str | None, external_id: str | None) -> User:
        found = await users.find_by_external_id(tx, external_id) if external_id else None
        found = found or await users.find_by_email(tx, email)
        if found is None:
            user = User(new_id(), email, name)
            made = await users.add(tx, user)
            if not made or (external_id and not await users.set_external_id(tx, user.id, external_id)):
                # Somebody else made the same account a moment ago.
                raise OAuthError(400, "invalid_request", "The account could not be saved. Try again.")
            await trail.user(tx, "create", user)
            return user
        if not await _may_become(tx, caller, found):
            raise OAuthError(403, "access_denied", _REFUSAL)
        return found


async def _may_become(tx: Tx, caller: Principal, user: User) -> bool:
    """Whoever holds the code can log in as that user: it must not make anybody more than they are, nor take an account
    from whoever logs in to it."""
    if caller.is_master_admin:
        return True
    if is_above(caller, user) or await users.has_login(tx, user.id):
        return False
    return caller.grid_ids.issuperset(await grid_members.grids_of(tx, user.id))
