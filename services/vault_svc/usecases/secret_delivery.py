"""Hands values to the service that sends assignments to nodes."""

from collections.abc import Iterable

from services.kernel.db import Database
from services.vault_svc.domain.envelope import unseal
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.domain.secret import is_name
from services.vault_svc.store import secrets as store
from services.vault_svc.usecases.vault import Vault


class SecretDelivery:
    """For other services of the suite only; the authenticator keeps everyone else out."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._db = db
        self._vault = vault

    async def resolve(self, grid_id: str, names: Iterable[str]) -> dict[str, Plaintext]:
        """Values by name, read in one query; names that do not exist are left out."""
        keyring = self._vault.keyring()
        wanted = {name for name in names if is_name(name)}
        if not wanted:
            return {}
        async with self._db.read() as tx:
            found = await store.find_many(tx, grid_id, wanted)
        return {stored.secret.name: unseal(keyring, stored.secret.binding(), stored.sealed) for stored in found}
