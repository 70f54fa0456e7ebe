"""What members of a grid do with its image registries (docs/spec/vault.md section 3)."""

from collections.abc import Iterable

from services.clients.grids import Grid
from services.kernel import audit
from services.kernel.db import Database
from services.kernel.errors import ValidationFailed, required
from services.kernel.ids import new_id
from services.kernel.members import made_of
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.principal import Principal
from services.vault_svc.domain import bindings
from services.vault_svc.domain import registry as rules
from services.vault_svc.domain.envelope import seal
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.domain.registry import Credentials, Registry
from services.vault_svc.domain.resource_id import split
from services.vault_svc.store import registries as store
from services.vault_svc.store import tables
from services.vault_svc.usecases.parts import UseCases
from services.vault_svc.usecases.secret_delivery import opened
from services.vault_svc.usecases.vault import Vault


class ExternalRegistries(UseCases):
    """The verbs. Adding or removing a registry redeploys nothing."""

    async def of_grid(self, principal: Principal, grid_name: str, page: Page = WHOLE) -> tuple[Grid, Listing[Registry]]:
        """All registries of a grid by name."""
        grid = await self._grids.accessible(principal, grid_name)
        async with self._db.read() as tx:
            return grid, await store.of_grid(tx, grid.id, page)

    async def create(
        self,
        principal: Principal,
        grid_name: str,
        *,
        url: str | None,
        username: str | None,
        password: Plaintext | None,
        email: str | None,
    ) -> tuple[Grid, Registry]:
        """Store a registry. Raises ValidationFailed, also when the grid has one of that name."""
        grid = await self._grids.changeable(principal, grid_name)
        keyring = self._vault.keyring()
        given = rules.check_new(url, username, password, email)
        registry_id = new_id()
        sealed = seal(keyring, bindings.registry(grid.id, given.name, registry_id), given.password)
        async with self._db.transaction() as tx:
            self._quotas.check("name", {"registries_per_grid": await store.count(tx, grid.id) + 1})
            registry = await store.insert(tx, registry_id, grid.id, given, sealed)
            if registry is None:
                raise ValidationFailed({"name": "is already taken"})
            await audit.record(tx, tables.outbox, "create", _resource(grid, registry))
        return grid, registry

    async def show(self, principal: Principal, registry_id: str) -> tuple[Grid, Registry]:
        """One registry. Raises NotFound."""
        grid_name, name = split(registry_id)
        grid = await self._grids.accessible(principal, grid_name)
        async with self._db.read() as tx:
            return grid, required(await store.find(tx, grid.id, name.lower()))

    async def delete(self, principal: Principal, registry_id: str) -> None:
        """Remove a registry. Raises NotFound."""
        grid_name, name = split(registry_id)
        await self._delete(await self._grids.changeable(principal, grid_name), name)

    async def delete_in_grid(self, principal: Principal, grid_name: str, name: str | None) -> None:
        """As `delete`; a request without a name is refused, so that it never means all. Raises ValidationFailed."""
        grid = await self._grids.changeable(principal, grid_name)
        if name is None or not name.strip():
            raise ValidationFailed({"name": "Name is required"})
        await self._delete(grid, name)

    async def _delete(self, grid: Grid, name: str) -> None:
        async with self._db.transaction() as tx:
            registry = required(await store.delete(tx, grid.id, name.lower()))
            await audit.record(tx, tables.outbox, "delete", _resource(grid, registry))


def _resource(grid: Grid, registry: Registry) -> audit.Resource:
    return audit.Resource("Registry", registry.id, registry.name, grid.id, grid.name)


class RegistryDelivery:
    """For other services of the suite only; the authenticator keeps everyone else out."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._db = db
        self._vault = vault

    async def resolve(self, grid_id: str, names: Iterable[str]) -> dict[str, Credentials]:
        """Credentials by name, read in one query; names that do not exist are left out. Raises Unavailable."""
        wanted = set(filter(None, names))
        if not wanted:
            return {}
        async with self._db.read() as tx:
            found = await store.find_many(tx, grid_id, wanted)
        if not found:
            # Pulling from registries without credentials needs no vault.
            return {}
        keyring = self._vault.keyring()
        return {
            stored.registry.name: made_of(Credentials, stored.registry, password=password)
            for stored in found
            if (password := opened(keyring, stored.registry.binding(), stored.sealed)) is not None
        }
