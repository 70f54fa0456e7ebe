"""Writes of secrets inside a transaction of the caller: encrypted, audited, and told to the services that use them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from services.clients import grid_events
from services.clients.grids import Grid
from services.clients.secret_usage import SECRET_CHANGED
from services.kernel import audit
from services.kernel.audit import Resource
from services.kernel.db import AnyTx, Tx
from services.kernel.errors import NotFound, Unavailable
from services.kernel.ids import new_id
from services.kernel.quotas import Measured
from services.kernel.sealing import Undecryptable
from services.vault_svc.domain import bindings
from services.vault_svc.domain import secret as rules
from services.vault_svc.domain.envelope import Binding, Sealed, seal, unseal
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.domain.quotas import VaultQuotas
from services.vault_svc.domain.secret import Secret, ServiceRef, StoredSecret
from services.vault_svc.store import secrets as store
from services.vault_svc.store import tables
from services.vault_svc.usecases.usage import SecretUsers
from services.vault_svc.usecases.vault import Vault

# What the audit trail calls them.
RESOURCE = "GridSecret"
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Change:
    """A value for the secret that a path names; `body_name` must agree with `name` when it is given."""

    name: str
    value: Plaintext | None
    body_name: str | None = None
    upsert: bool = False


class SecretWriter:
    """What is written leaves an audit event and a message to the services that use the secret, if it is new."""

    def __init__(self, vault: Vault, quotas: VaultQuotas, users: SecretUsers, *, longest_value: int) -> None:
        self._users = users
        self._vault = vault
        self._measured = Measured(quotas)
        self.longest_value = longest_value

    async def put(self, tx: AnyTx, grid: Grid, change: Change) -> tuple[Secret, Plaintext, bool]:
        """Change a value, or create the secret on request; True when it was created. An unchanged value writes
        nothing. Raises ValidationFailed, NotFound."""
        named = rules.is_name(change.name)
        # Whoever loses a race against a creation or a deletion of the name looks again.
        for _ in range(_ATTEMPTS):
            stored = await store.lock(tx, grid.id, change.name) if named else None
            if stored is not None:
                value = rules.check_update(change.name, change.body_name, change.value, self.longest_value)
                if self._holds(stored, value):
                    return stored.secret, value, False
                return await self._replace(tx, grid, stored.secret, value), value, False
            if not change.upsert:
                raise NotFound
            value = rules.check_upsert(change.name, change.body_name, change.value, self.longest_value)
            created = await self.insert(tx, grid, change.name, value)
            if created is not None:
                return created, value, True
        raise Unavailable("Others are changing this secret. Try again in a moment.")

    async def create(self, tx: AnyTx, grid: Grid, name: str, value: Plaintext) -> Secret | None:
        """As `insert`, which nothing follows in the transaction."""
        return await self._insert(tx, grid, name, value, last=True)

    async def insert(self, tx: AnyTx, grid: Grid, name: str, value: Plaintext) -> Secret | None:
        """Add a secret with a checked name and value; None when the name is taken."""
        return await self._insert(tx, grid, name, value, last=False)

    async def _insert(self, tx: AnyTx, grid: Grid, name: str, value: Plaintext, *, last: bool) -> Secret | None:
        new = (new_id(), grid.id, name)
        sealed = self._seal(bindings.secret(grid.id, name, new[0]), value)
        await self._check_quotas(tx, "name", grid, secrets_per_grid=1, secret_bytes_per_grid=len(sealed.blob))
        # A service may have been saved before its secret.
        told = self._users.are_told(grid.id, name)
        event = audit.event("create", Resource("GridSecret", new[0], name, grid.id, grid.name))
        secret = await store.insert(tx, new, sealed, event, last=last and not told)
        if secret is not None and told:
            await self._tell_users(tx, secret)
        return secret

    async def removed(self, tx: Tx, grid: Grid, secret: Secret, left: Sequence[ServiceRef]) -> None:
        """Note that a secret is gone, and which services still name it."""
        await audit.record(tx, tables.outbox, "delete", resource(grid, secret))
        if left:
            names = ", ".join(service.id for service in left)
            text = f"secret {secret.name} was removed; services left without it: {names}"
            event = grid_events.GridEvent(grid.id, "secret:delete", text, grid_events.WARN)
            await grid_events.record(tx, tables.outbox, event)

    def open(self, stored: StoredSecret) -> Plaintext:
        """The value of a stored secret. Raises Undecryptable."""
        return unseal(self._vault.keyring(), stored.secret.binding(), stored.sealed)

    async def _replace(self, tx: AnyTx, grid: Grid, secret: Secret, value: Plaintext) -> Secret:
        sealed = self._seal(secret.binding(), value)
        await self._check_quotas(tx, "value", grid, secret_bytes_per_grid=len(sealed.blob))
        changed = await store.replace(tx, secret.id, sealed, audit.event("update", resource(grid, secret)))
        if self._users.are_told(grid.id, changed.name):
            await self._tell_users(tx, changed)
        return changed

    async def _check_quotas(self, tx: AnyTx, attribute: str, grid: Grid, **more: int) -> None:
        await self._measured.add(grid.id, attribute, more, partial(store.held, tx, grid.id))

    async def _tell_users(self, tx: AnyTx, secret: Secret) -> None:
        await tables.outbox.emit(tx, SECRET_CHANGED, {"grid_id": secret.grid_id, "name": secret.name})

    def _seal(self, binding: Binding, value: Plaintext) -> Sealed:
        return seal(self._vault.keyring(), binding, value)

    def _holds(self, stored: StoredSecret, value: Plaintext) -> bool:
        try:
            return value == self.open(stored)
        except Undecryptable:
            # Writing a new value is the only way out for a secret whose key is lost.
            return False


def resource(grid: Grid, secret: Secret) -> Resource:
    """The secret as the audit trail names it."""
    return Resource(RESOURCE, secret.id, secret.name, grid.id, grid.name)
