"""Makes a new installation usable: roles, the local administrator, the code of the first login, configuration."""

from collections.abc import Mapping

from services.auth_svc.domain.access_token import Owner
from services.auth_svc.domain.authorization import SCOPES
from services.auth_svc.domain.configuration import Json
from services.auth_svc.domain.user import ADMIN_EMAIL, ADMIN_NAME, MASTER_ADMIN, ROLES, User
from services.auth_svc.store import bootstrap_steps, invalidations, users
from services.auth_svc.usecases.config import Config
from services.auth_svc.usecases.minting import Mint
from services.kernel import locks
from services.kernel.db import Database, Tx
from services.kernel.ids import new_id
from services.kernel.logs import get_logger

log = get_logger(__name__)

_INITIAL_CODE = "initial_admin_code"
_DESCRIPTION = "first login of this installation"
_SHORT = 12


class Bootstrap:
    """Runs at every start of every replica; replicas wait for one another."""

    def __init__(
        self, db: Database, mint: Mint, config: Config, initial_admin_code: str | None, seeds: Mapping[str, Json]
    ) -> None:
        self._db = db
        self._mint = mint
        self._config = config
        self._code = initial_admin_code
        self._seeds = seeds

    async def run(self) -> None:
        """Add what is missing. The initial code is made once, so a restart brings no used code back to life."""
        async with self._db.transaction() as tx:
            await locks.hold(tx, locks.BOOTSTRAP)
            admin = await ensure_admin(tx)
            if self._code and await bootstrap_steps.first_time(tx, _INITIAL_CODE):
                if len(self._code) < _SHORT:
                    log.warning("INITIAL_ADMIN_CODE is easy to guess: use it at once, or take a longer one")
                owner = Owner(admin.id, admin.email, admin.name)
                await self._mint.code(tx, owner, SCOPES, value=self._code, description=_DESCRIPTION)
            await self._config.seed(tx, self._seeds)


async def ensure_admin(tx: Tx) -> User:
    """The local administrator, made or given its role back if necessary."""
    await users.ensure_roles(tx, ROLES)
    await users.add(tx, User(new_id(), ADMIN_EMAIL, ADMIN_NAME))
    admin = await users.find_by_email(tx, ADMIN_EMAIL)
    assert admin is not None  # noqa: S101 -- just made in this transaction.
    if await users.grant(tx, admin.id, [MASTER_ADMIN.name]):
        await invalidations.announce(tx, [admin.id])
    return admin
