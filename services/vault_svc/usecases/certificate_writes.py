"""Writes of certificates inside a transaction of the caller: encrypted, and told to the services that use them."""

from services.clients.grids import Grid
from services.clients.secret_usage import CERTIFICATE_CHANGED
from services.kernel import locks
from services.kernel.db import Tx
from services.kernel.ids import new_id
from services.kernel.sealing import Undecryptable
from services.vault_svc.domain import certificate as rules
from services.vault_svc.domain.certificate import Certificate, Material, StoredCertificate
from services.vault_svc.domain.envelope import seal, unseal
from services.vault_svc.domain.quotas import VaultQuotas
from services.vault_svc.store import certificates as store
from services.vault_svc.store import tables
from services.vault_svc.usecases.vault import Vault


class CertificateWriter:
    """Services that use a certificate are told of each new one, and of nothing else."""

    def __init__(self, vault: Vault, quotas: VaultQuotas) -> None:
        self._vault = vault
        self._quotas = quotas

    async def put(
        self, tx: Tx, grid: Grid, names: tuple[str, ...], material: Material, *, directory: str | None
    ) -> Certificate:
        """Store a certificate for `names`, the first of which is the subject, in place of an older one. The same
        certificate with the same key writes nothing. Raises Unavailable."""
        subject, *others = names
        # Nobody else writes one of this subject meanwhile, also while there is none.
        await locks.hold(tx, locks.CERTIFICATE, f"{grid.id}/{subject}")
        older = next(iter(await store.find_many(tx, grid.id, [subject])), None)
        if older is not None and self._holds(older, material):
            return older.shown
        if older is None:
            self._quotas.check("subject", {"certificates_per_grid": await store.count(tx, grid.id) + 1})
        found = rules.validity(material.leaf)
        shown = Certificate(
            id=older.shown.id if older else new_id(),
            grid_id=grid.id,
            subject=subject,
            alt_names=tuple(others),
            valid_from=found.valid_from,
            valid_until=found.valid_until,
        )
        sealed = seal(self._vault.keyring(), shown.binding(), material.key)
        saved = await store.save(tx, StoredCertificate(shown, material.leaf, material.chain, sealed, directory))
        await tables.outbox.emit(tx, CERTIFICATE_CHANGED, {"grid_id": grid.id, "subject": subject})
        return saved

    def open(self, stored: StoredCertificate) -> Material:
        """The texts and the key. Raises Undecryptable, Unavailable."""
        key = unseal(self._vault.keyring(), stored.shown.binding(), stored.sealed)
        # Earlier releases stored imported keys as they were given.
        return Material(stored.leaf, stored.chain, rules.as_exported(key))

    def _holds(self, stored: StoredCertificate, material: Material) -> bool:
        try:
            return self.open(stored) == material
        except Undecryptable:
            # Writing it anew is the only way out for a certificate whose master key is lost.
            return False
