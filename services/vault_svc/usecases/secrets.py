"""What members of a grid do with its secrets (spec/vault.md section 2.2)."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from services.clients.grids import Grid, GridDirectory
from services.kernel import audit
from services.kernel.db import Database, Tx
from services.kernel.errors import NotFound, Unavailable, ValidationFailed
from services.kernel.ids import new_id
from services.kernel.outbox import Outbox
from services.kernel.principal import Principal
from services.vault_svc.domain import secret as rules
from services.vault_svc.domain.envelope import Binding, Sealed, Undecryptable, seal, unseal
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.domain.secret import Secret, ServiceRef, StoredSecret
from services.vault_svc.store import secrets as store
from services.vault_svc.usecases.vault import Vault

# The services of a grid that use the named secrets, by secret name; names without users may be left out.
SecretUsers = Callable[[Grid, Collection[str]], Awaitable[Mapping[str, tuple[ServiceRef, ...]]]]

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class SecretView:
    """A secret as callers see it; `value` is None in lists."""

    grid: str
    secret: Secret
    value: Plaintext | None = None
    services: tuple[ServiceRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A value for the secret that a path names; `body_name` must agree with `name` when it is given."""

    name: str
    value: Plaintext | None
    body_name: str | None = None
    upsert: bool = False


class Secrets:
    """The verbs. Access to the grid is decided before anything about a secret is revealed."""

    def __init__(
        self,
        db: Database,
        outbox: Outbox,
        grids: GridDirectory,
        vault: Vault,
        users: SecretUsers,
        *,
        longest_value: int,
    ) -> None:
        self._db = db
        self._outbox = outbox
        self._grids = grids
        self._vault = vault
        self._users = users
        self._longest_value = longest_value

    async def of_grid(self, principal: Principal, grid_name: str) -> list[SecretView]:
        """All secrets of a grid by name, without values."""
        grid = await self._grids.accessible(principal, grid_name)
        self._vault.keyring()
        async with self._db.read() as tx:
            found = await store.of_grid(tx, grid.id)
        users = await self._users(grid, [secret.name for secret in found])
        return [SecretView(grid.name, secret, None, users.get(secret.name, ())) for secret in found]

    async def create(
        self, principal: Principal, grid_name: str, name: str | None, value: Plaintext | None
    ) -> SecretView:
        """Store a new secret. Raises ValidationFailed, also when the name is taken."""
        grid = await self._grids.changeable(principal, grid_name)
        self._vault.keyring()
        checked_name, checked_value = rules.check_new(name, value, self._longest_value)
        async with self._db.transaction() as tx:
            secret = await self._insert(tx, grid, checked_name, checked_value)
            if secret is None:
                raise ValidationFailed({"name": "is already taken"})
        return await self._view(grid, secret, checked_value)

    async def show(self, principal: Principal, secret_id: str) -> SecretView:
        """A secret with its value. Every read leaves an audit event."""
        self._vault.keyring()
        grid_name, _, name = secret_id.partition("/")
        grid = await self._grids.accessible(principal, grid_name)
        if not rules.is_name(name):
            raise NotFound
        async with self._db.transaction() as tx:
            stored = await store.find(tx, grid.id, name)
            if stored is None:
                raise NotFound
            value = self._open(stored.secret, stored.sealed)
            await self._audit(tx, "show", grid, stored.secret)
        return await self._view(grid, stored.secret, value)

    async def update(
        self,
        principal: Principal,
        secret_id: str,
        value: Plaintext | None,
        *,
        body_name: str | None = None,
        upsert: bool = False,
    ) -> tuple[SecretView, bool]:
        """Change a value, or create the secret on request; True when it was created."""
        self._vault.keyring()
        grid_name, _, name = secret_id.partition("/")
        grid = await self._grids.changeable(principal, grid_name)
        return await self._put(grid, Change(name, value, body_name, upsert))

    async def put_in_grid(
        self, principal: Principal, grid_name: str, name: str, value: Plaintext | None, *, upsert: bool
    ) -> tuple[SecretView, bool]:
        """As `update`; on this path the grid is checked before the vault."""
        grid = await self._grids.changeable(principal, grid_name)
        self._vault.keyring()
        return await self._put(grid, Change(name, value, upsert=upsert))

    async def delete(self, principal: Principal, secret_id: str) -> None:
        """Remove a secret, also while services use it."""
        self._vault.keyring()
        grid_name, _, name = secret_id.partition("/")
        grid = await self._grids.changeable(principal, grid_name)
        if not rules.is_name(name):
            raise NotFound
        async with self._db.transaction() as tx:
            secret = await store.delete(tx, grid.id, name)
            if secret is None:
                raise NotFound
            await self._audit(tx, "delete", grid, secret)

    async def _put(self, grid: Grid, change: Change) -> tuple[SecretView, bool]:
        async with self._db.transaction() as tx:
            secret, value, created = await self._write(tx, grid, change)
        return await self._view(grid, secret, value), created

    async def _write(self, tx: Tx, grid: Grid, change: Change) -> tuple[Secret, Plaintext, bool]:
        named = rules.is_name(change.name)
        # Whoever loses a race against a creation or a deletion of the name looks again.
        for _ in range(_ATTEMPTS):
            stored = await store.find(tx, grid.id, change.name, lock=True) if named else None
            if stored is not None:
                value = rules.check_update(change.name, change.body_name, change.value, self._longest_value)
                if self._holds(stored, value):
                    return stored.secret, value, False
                secret = await store.replace(tx, stored.secret.id, self._seal(stored.secret.binding(), value))
                await self._audit(tx, "update", grid, secret)
                return secret, value, False
            if not change.upsert:
                raise NotFound
            value = rules.check_upsert(change.name, change.body_name, change.value, self._longest_value)
            created = await self._insert(tx, grid, change.name, value)
            if created is not None:
                return created, value, True
        raise Unavailable("Others are changing this secret. Try again in a moment.")

    async def _insert(self, tx: Tx, grid: Grid, name: str, value: Plaintext) -> Secret | None:
        secret_id = new_id()
        sealed = self._seal(rules.binding(grid.id, name, secret_id), value)
        secret = await store.insert(tx, secret_id, grid.id, name, sealed)
        if secret is not None:
            await self._audit(tx, "create", grid, secret)
        return secret

    def _seal(self, binding: Binding, value: Plaintext) -> Sealed:
        return seal(self._vault.keyring(), binding, value)

    def _holds(self, stored: StoredSecret, value: Plaintext) -> bool:
        try:
            return value == self._open(stored.secret, stored.sealed)
        except Undecryptable:
            # Writing a new value is the only way out for a secret whose key is lost.
            return False

    def _open(self, secret: Secret, sealed: Sealed) -> Plaintext:
        return unseal(self._vault.keyring(), secret.binding(), sealed)

    async def _view(self, grid: Grid, secret: Secret, value: Plaintext) -> SecretView:
        users = await self._users(grid, [secret.name])
        return SecretView(grid.name, secret, value, users.get(secret.name, ()))

    async def _audit(self, tx: Tx, event: str, grid: Grid, secret: Secret) -> None:
        resource = audit.Resource("GridSecret", secret.id, secret.name, grid.id, grid.name)
        await audit.record(tx, self._outbox, event, resource)
