"""What members of a grid do with its secrets (docs/spec/vault.md section 2.2)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from services.clients.grids import Grid
from services.kernel import audit
from services.kernel.errors import NotFound, ValidationFailed, required
from services.kernel.kept import Kept, Version
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.principal import Principal
from services.vault_svc.domain import secret as rules
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.domain.resource_id import split
from services.vault_svc.domain.secret import Secret, ServiceRef
from services.vault_svc.policy import revealable
from services.vault_svc.store import secrets as store
from services.vault_svc.usecases.parts import Parts, UseCases
from services.vault_svc.usecases.secret_writes import RESOURCE, Change, SecretWriter
from services.vault_svc.usecases.usage import HostLevelUsers, Redeploys, SecretUsers

# Makes the own part of an answer of a secret of a grid; never of its value.
Part = Callable[[tuple[str, Secret]], bytes]


@dataclass(frozen=True, slots=True)
class SecretView:
    """A secret as callers see it; `services` is None while it is not known who uses it."""

    grid: str
    secret: Secret
    value: Plaintext
    services: tuple[ServiceRef, ...] | None = None


@dataclass(frozen=True, slots=True)
class ListedSecret:
    """A secret as lists show it: `encoded` is its own part of the answer, without a value."""

    encoded: bytes
    services: tuple[ServiceRef, ...] | None


class Secrets(UseCases):
    """The verbs. Access to the grid is decided before anything about a secret is revealed."""

    def __init__(
        self, parts: Parts, writer: SecretWriter, users: SecretUsers, part: Part, hosts: HostLevelUsers
    ) -> None:
        super().__init__(parts)
        self._writer = writer
        self._users = users
        self._hosts = hosts
        self._redeploys = Redeploys(parts.db, users)
        self._kept = Kept(part)

    async def of_grid(self, principal: Principal, grid_name: str, page: Page = WHOLE) -> Listing[ListedSecret]:
        """All secrets of a grid by name, without values."""
        grid = await self._grids.accessible(principal, grid_name)
        self._vault.keyring()
        found = await store.of_grid(self._db, grid.id, page)
        parts = await self._kept.of({one.id: one.version for one in found}, partial(self._load, grid))
        users = self._users.of(grid, [one.name for one in found])
        shown = [
            ListedSecret(part, None if users is None else users.get(one.name, ()))
            for one in found
            if (part := parts.get(one.id)) is not None
        ]
        return Listing(shown, found.next)

    async def _load(self, grid: Grid, ids: Sequence[str]) -> list[tuple[str, Version, tuple[str, Secret]]]:
        async with self._db.read() as tx:
            return [(key, version, (grid.name, one)) for key, version, one in await store.load(tx, ids)]

    async def create(
        self, principal: Principal, grid_name: str, name: str | None, value: Plaintext | None
    ) -> SecretView:
        """Store a new secret. Raises ValidationFailed, also when the name is taken."""
        grid = await self._grids.changeable(principal, grid_name)
        self._vault.keyring()
        checked_name, checked_value = rules.check_new(name, value, self._writer.longest_value)
        await self._hosts.check(principal, grid, checked_name)
        async with self._db.prepared() as tx:
            secret = await self._writer.create(tx, grid, checked_name, checked_value)
            if secret is None:
                raise ValidationFailed({"name": "is already taken"})
        await self._redeploys.of_secrets(grid, secret.name)
        return self._view(grid, secret, checked_value)

    async def show(self, principal: Principal, secret_id: str) -> SecretView:
        """A secret with its value, for whoever is no viewer. Every read leaves an audit event."""
        self._vault.keyring()
        grid_name, name = split(secret_id)
        grid = await revealable(self._grids, principal, grid_name)
        if not rules.is_name(name):
            raise NotFound
        event = audit.event("show", audit.Resource(RESOURCE, "", name, grid.id, grid.name))
        stored = required(await store.show(self._db, grid.id, name, event))
        return self._view(grid, stored.secret, self._writer.open(stored))

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
        grid_name, name = split(secret_id)
        grid = await self._grids.changeable(principal, grid_name)
        return await self._put(principal, grid, Change(name, value, body_name, upsert))

    async def put_in_grid(
        self, principal: Principal, grid_name: str, name: str, value: Plaintext | None, *, upsert: bool
    ) -> tuple[SecretView, bool]:
        """As `update`; on this path the grid is checked before the vault."""
        grid = await self._grids.changeable(principal, grid_name)
        self._vault.keyring()
        return await self._put(principal, grid, Change(name, value, upsert=upsert))

    async def delete(self, principal: Principal, secret_id: str) -> None:
        """Remove a secret, also while services use it; the event log of the grid names those that are left without."""
        self._vault.keyring()
        grid_name, name = split(secret_id)
        grid = await self._grids.changeable(principal, grid_name)
        if not rules.is_name(name):
            raise NotFound
        await self._hosts.check(principal, grid, name)
        left = (self._users.of(grid, [name]) or {}).get(name, ())
        async with self._db.transaction() as tx:
            secret = required(await store.delete(tx, grid.id, name))
            await self._writer.removed(tx, grid, secret, left)

    async def _put(self, principal: Principal, grid: Grid, change: Change) -> tuple[SecretView, bool]:
        await self._hosts.check(principal, grid, change.name)
        async with self._db.prepared() as tx:
            secret, value, created = await self._writer.put(tx, grid, change)
        await self._redeploys.of_secrets(grid, secret.name)
        return self._view(grid, secret, value), created

    def _view(self, grid: Grid, secret: Secret, value: Plaintext) -> SecretView:
        users = self._users.of(grid, [secret.name])
        return SecretView(grid.name, secret, value, None if users is None else users.get(secret.name, ()))
