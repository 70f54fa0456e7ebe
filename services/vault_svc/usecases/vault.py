"""The lock of the vault: hands out the keyring once it is known to be the right one."""

import asyncio

from services.kernel.db import Database
from services.kernel.errors import Unavailable
from services.kernel.logs import get_logger
from services.vault_svc.domain.envelope import Binding, Undecryptable, seal, unseal
from services.vault_svc.domain.keys import Keyring
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.store import canary

log = get_logger(__name__)

_CANARY = Binding("canary", "", "", "", "")
_OFF = "Vault not configured"
_STARTING = "The vault is starting. Try again in a moment."
_KNOWN_TEXT = Plaintext("the key of this vault")


class Vault:
    """Closed until `unlock`; without a key, or with a wrong one, it stays closed and every use answers 503."""

    def __init__(self, db: Database, keyring: Keyring | None) -> None:
        self._db = db
        self._keyring = keyring
        self._refusal = _STARTING
        self._decided = asyncio.Event()

    def keyring(self) -> Keyring:
        """The keys to work with. Raises Unavailable."""
        if self._refusal or self._keyring is None:
            raise Unavailable(self._refusal or _OFF, reason="VAULT_NOT_CONFIGURED")
        return self._keyring

    async def is_open(self) -> bool:
        """Whether this process has the right key; waits until `unlock` has found out."""
        await self._decided.wait()
        return not self._refusal

    async def unlock(self) -> None:
        """Compare the key with the one this installation began with; the first start decides. Raises when the
        database does not answer; a wrong key is logged and leaves the vault closed."""
        if self._keyring is None:
            self._refusal = _OFF
            log.warning("vault is off: VAULT_KEY is not set")
        else:
            await self._try(self._keyring)
        self._decided.set()

    async def _try(self, keyring: Keyring) -> None:
        async with self._db.transaction() as tx:
            known = await canary.load_or_store(tx, seal(keyring, _CANARY, _KNOWN_TEXT))
        try:
            unseal(keyring, _CANARY, known)
        except Undecryptable:
            self._refusal = _OFF
            log.error("vault is closed: wrong VAULT_KEY", current_key=keyring.current.id, needed_key=known.key_id)
        else:
            self._refusal = ""

    async def rekey_canary(self) -> None:
        """Put the canary under the current key, after everything else is."""
        async with self._db.transaction() as tx:
            await canary.replace(tx, seal(self.keyring(), _CANARY, _KNOWN_TEXT))
