"""What an operator does on the machine itself, without a token: the offline admin commands."""

from collections.abc import Sequence

from grpc.aio import AioRpcError

from services.auth_svc.domain import authorization
from services.auth_svc.domain.access_token import Bounds, Owner
from services.auth_svc.domain.user import ROLES, User, valid_email
from services.auth_svc.store import grid_members, invalidations, users
from services.auth_svc.usecases import trail
from services.auth_svc.usecases.bootstrap import ensure_admin
from services.auth_svc.usecases.config import Config
from services.auth_svc.usecases.minting import Mint
from services.clients.grids import GridDirectory
from services.kernel import locks
from services.kernel.db import Database
from services.kernel.errors import NotFound, Unavailable, ValidationFailed, required
from services.kernel.ids import is_id, new_id

_CODE = "reset-code"


class Administration:
    """Works on the database directly; running replicas notice at once. Only grids are asked for."""

    def __init__(self, db: Database, mint: Mint, *, config: Config, grids: GridDirectory) -> None:
        self._db = db
        self._mint = mint
        self._config = config
        self._grids = grids

    async def rotate_keys(self) -> None:
        """Bring secret configuration values under the current VAULT_KEY. Raises Unavailable when some do not open."""
        lost = await self._config.rotate_keys()
        if lost:
            raise Unavailable(f"{lost} values do not open: set them again, or name their key in VAULT_OLD_KEYS")

    async def reset_code(self) -> str:
        """A new code that logs in as the local administrator; existing tokens and codes stay as they are."""
        async with self._db.transaction() as tx:
            await locks.hold(tx, locks.BOOTSTRAP)
            admin = await ensure_admin(tx)
            issued = await self._mint.code(
                tx, Owner(admin.id, admin.email, admin.name), authorization.SCOPES, description=_CODE
            )
            await trail.token(tx, "create", issued.token)
        return str(issued.values.code)

    async def create_token(self, email: str, scope: str, expires_in: str | None, description: str | None = None) -> str:
        """A new access token of a user. Raises NotFound, or OAuthError for a wrong scope or lifetime."""
        scopes = authorization.parse_scopes(scope)
        lifetime = authorization.parse_lifetime(expires_in)
        authorization.check_lifetime(scopes, lifetime)
        name = authorization.deploy_grid(scopes)
        bounds = Bounds(grid_id=await self.grid_id(name) if name else None)
        async with self._db.transaction() as tx:
            user = required(await users.find_by_email(tx, email), f"There is no user {email}")
            owner = Owner(user.id, user.email, user.name)
            issued = await self._mint.token(
                tx, owner, scopes, lifetime=lifetime, description=description, bounds=bounds
            )
            await trail.token(tx, "create", issued.token)
        return str(issued.values.access)

    async def grid_id(self, name: str) -> str:
        """The id of the grid called `name`. Raises NotFound, or Unavailable when grid_svc does not answer."""
        try:
            return (await self._grids.ask(name)).id
        except NotFound:
            raise NotFound(f"There is no grid {name}") from None
        except AioRpcError as error:
            raise Unavailable(
                f"grid_svc does not say which grid that is ({error.code().name}): see GRID_ADDRESS"
            ) from None

    async def create_user(self, email: str, roles: Sequence[str] = (), grid_ids: Sequence[str] = ()) -> User:
        """A new account. Raises ValidationFailed, also when the e-mail is taken."""
        _check(roles, grid_ids)
        user = User(new_id(), valid_email(email))
        async with self._db.transaction() as tx:
            await users.ensure_roles(tx, ROLES)
            if not await users.add(tx, user):
                raise ValidationFailed({"email": f"User with email {user.email} already exists"})
            await users.grant(tx, user.id, roles)
            for grid_id in grid_ids:
                await grid_members.add(tx, grid_id, user.id)
            await invalidations.announce(tx, [user.id])
            await trail.user(tx, "create", user)
        return user

    async def list_users(self) -> list[User]:
        """All accounts, by e-mail."""
        async with self._db.read() as tx:
            return await users.find_all(tx)


def _check(roles: Sequence[str], grid_ids: Sequence[str]) -> None:
    known = {role.name for role in ROLES}
    for role in roles:
        if role not in known:
            raise ValidationFailed({"role": f"Role '{role}' not found"})
    for grid_id in grid_ids:
        if not is_id(grid_id):
            raise ValidationFailed({"grid_id": "Grid Id isn't in the right format"})
