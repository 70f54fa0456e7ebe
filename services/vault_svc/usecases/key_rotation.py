"""Brings every stored value under the current key while services go on reading and writing.

Order of a rotation: give all replicas the new key in VAULT_OLD_KEYS, then swap the two settings on all of them, run
`rotate-keys` with the same settings, and drop the old key when it reports that nothing is left. In each step every
replica can read what any other one writes.
"""

from services.kernel.db import Database
from services.kernel.logs import get_logger
from services.kernel.sealing import Keyring, Undecryptable
from services.vault_svc.domain.envelope import Sealed, reseal
from services.vault_svc.store import sealed_rows as store
from services.vault_svc.store.sealed_rows import SealedRow
from services.vault_svc.usecases.vault import Vault

log = get_logger(__name__)

_BATCH = 50


class KeyRotation:
    """Re-encrypts with new data keys. May be interrupted and repeated, and run next to itself."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._db = db
        self._vault = vault

    async def run(self) -> int:
        """Returns how many values are still under other keys: none when the old keys can be dropped. Raises Unavailable
        without the right key."""
        keyring = self._vault.keyring()
        left = await self._left(keyring)
        while left:
            log.info("rotating keys", current_key=keyring.current.id, left=left)
            for kind in store.KINDS:
                await self._pass(keyring, kind)
            # Writers with older settings, or values that do not open, may leave some behind: stop without progress.
            before, left = left, await self._left(keyring)
            if left >= before:
                log.error("values stay under other keys", left=left)
                return left
        await self._vault.rekey_canary()
        log.info("all values are under the current key", current_key=keyring.current.id)
        return 0

    async def _pass(self, keyring: Keyring, kind: str) -> None:
        after = ""
        while True:
            async with self._db.read() as tx:
                batch = await store.under_other_keys(tx, kind, keyring.current.id, after, _BATCH)
            if not batch:
                return
            changes = [(row, new) for row in batch if (new := _reseal(keyring, row)) is not None]
            async with self._db.transaction() as tx:
                await store.reseal(tx, kind, changes)
            after = batch[-1].id

    async def _left(self, keyring: Keyring) -> int:
        async with self._db.read() as tx:
            return await store.count_under_other_keys(tx, keyring.current.id)


def _reseal(keyring: Keyring, row: SealedRow) -> Sealed | None:
    try:
        return reseal(keyring, row.binding, row.sealed)
    except Undecryptable as error:
        log.error("not re-encrypted", reason=error.cause)
        return None
