"""The lock of the vault: hands out the keyring once it is known to be the right one."""

import asyncio

from services.kernel.db import Database, Tx
from services.kernel.errors import NotReady, Unavailable, ValidationFailed
from services.kernel.sealing import Keyring, Undecryptable
from services.vault_svc.domain.envelope import Binding, Sealed, seal, unseal
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.store import canary

_CANARY = Binding("canary", "", "", "", "")
_OFF = "Vault not configured"
_LOST = "If nobody has it any more: `start-anew`, see the operations guide"
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
        """Compare the key with the one that this installation has now; the first start with a key decides which that
        is. May be asked again at any time. Raises NotReady for a wrong key, or for none where others have one: both
        leave the vault closed. Raises something else when the database does not answer, which changes nothing."""
        known = await self._canary()
        why_not = self._why_not(known)
        self._refusal = "" if known and not why_not else _OFF
        self._decided.set()
        if why_not:
            raise NotReady(why_not)

    async def why_not(self) -> str:
        """Why the key of this process is not that of the installation; empty when it is, or when there is none yet.
        Writes nothing."""
        async with self._db.read() as tx:
            return self._why_not(await canary.load(tx))

    async def rekey_canary(self) -> None:
        """Put the canary under the current key, after everything else is."""
        async with self._db.transaction() as tx:
            await canary.replace(tx, seal(self.keyring(), _CANARY, _KNOWN_TEXT))

    async def start_anew(self, tx: Tx) -> Keyring:
        """Make the key of this process the one of the installation, whose key is lost. Raises ValidationFailed for one
        that has no use for it: there is no key here, or the vault opens with those that are."""
        known = await canary.load(tx, lock=True)
        if self._keyring is None:
            raise ValidationFailed({"VAULT_KEY": "is not set: give the key that the vault shall have from now on"})
        if known is None or self._opens(known):
            raise ValidationFailed({"VAULT_KEY": "opens this vault, nothing is lost; to change it use rotate-keys"})
        await canary.replace(tx, seal(self._keyring, _CANARY, _KNOWN_TEXT))
        return self._keyring

    async def _canary(self) -> Sealed | None:
        """None while nobody had a key."""
        async with self._db.read() as tx:
            known = await canary.load(tx)
        if known is not None or self._keyring is None:
            return known
        async with self._db.transaction() as tx:
            return await canary.load_or_store(tx, seal(self._keyring, _CANARY, _KNOWN_TEXT))

    def _why_not(self, known: Sealed | None) -> str:
        if known is None or self._opens(known):
            return ""
        if self._keyring is None:
            return f"VAULT_KEY is not set, but this vault has a key, with the id {known.key_id}: set it. {_LOST}"
        given = self._keyring.current.id
        return f"VAULT_KEY (id {given}) is not the key of this vault (id {known.key_id}): set that one. {_LOST}"

    def _opens(self, known: Sealed) -> bool:
        try:
            return self._keyring is not None and bool(unseal(self._keyring, _CANARY, known))
        except Undecryptable:
            return False
