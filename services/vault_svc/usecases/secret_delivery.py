"""Hands values to the service that sends assignments to nodes."""

from collections.abc import Iterable

from services.kernel.db import Database
from services.kernel.logs import get_logger
from services.kernel.sealing import Keyring, Undecryptable
from services.vault_svc.domain.envelope import Binding, Sealed, unseal
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.domain.secret import is_name
from services.vault_svc.store import secrets as store
from services.vault_svc.usecases.vault import Vault

log = get_logger(__name__)


class SecretDelivery:
    """For other services of the suite only; the authenticator keeps everyone else out."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._db = db
        self._vault = vault

    async def existing(self, grid_id: str, names: Iterable[str]) -> list[str]:
        """Those of the names that exist, sorted. No value is read, so no key is needed."""
        wanted = {name for name in names if is_name(name)}
        if not wanted:
            return []
        async with self._db.read() as tx:
            return await store.existing(tx, grid_id, wanted)

    async def resolve(self, grid_id: str, names: Iterable[str]) -> dict[str, Plaintext | None]:
        """Values by name, read in one query; None is one that does not open. Names that do not exist are left out."""
        keyring = self._vault.keyring()
        wanted = {name for name in names if is_name(name)}
        if not wanted:
            return {}
        async with self._db.read() as tx:
            found = await store.find_many(tx, grid_id, wanted)
        return {stored.secret.name: opened(keyring, stored.secret.binding(), stored.sealed) for stored in found}


def opened(keyring: Keyring, binding: Binding, sealed: Sealed) -> Plaintext | None:
    """The value, or None when it does not open, which is logged and harms no other."""
    try:
        return unseal(keyring, binding, sealed)
    except Undecryptable as error:
        log.error("a value does not open", reason=error.cause)
        return None
