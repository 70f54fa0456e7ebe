"""Hands certificates and pending challenges to the service that sends assignments to nodes."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

from services.kernel.db import Database
from services.vault_svc.domain.authorization import Authorization, variable_name
from services.vault_svc.domain.certificate import Material, as_exported
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.store import authorizations as authorization_store
from services.vault_svc.store import certificates as store
from services.vault_svc.usecases.secret_delivery import opened
from services.vault_svc.usecases.vault import Vault


class CertificateDelivery:
    """For other services of the suite only; the authenticator keeps everyone else out."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._db = db
        self._vault = vault

    async def existing(self, grid_id: str, subjects: Iterable[str]) -> list[str]:
        """Those of the subjects that exist, sorted. No key is read."""
        wanted = set(filter(None, subjects))
        if not wanted:
            return []
        async with self._db.read() as tx:
            return await store.existing(tx, grid_id, wanted)

    async def bundles(self, grid_id: str, subjects: Iterable[str]) -> dict[str, Plaintext | None]:
        """Leaf, chain and key by subject, read in one query; None is one that does not open. Subjects that do not exist
        are left out."""
        keyring = self._vault.keyring()
        wanted = set(filter(None, subjects))
        if not wanted:
            return {}
        async with self._db.read() as tx:
            found = await store.find_many(tx, grid_id, wanted)
        keys = {one.shown.subject: opened(keyring, one.shown.binding(), one.sealed) for one in found}
        return {
            one.shown.subject: None
            if key is None
            else Plaintext(Material(one.leaf, one.chain, as_exported(key)).bundle())
            for one in found
            for key in [keys[one.shown.subject]]
        }

    async def challenges(self, grid_id: str, services: Iterable[str]) -> dict[str, list[tuple[str, Plaintext]]]:
        """What linked services must publish: variables by `stack/service`, sorted by name."""
        wanted = set(filter(None, services))
        if not wanted:
            return {}
        async with self._db.read() as tx:
            found = await authorization_store.linked_to(tx, grid_id, wanted)
        now = datetime.now(UTC)
        variables: dict[str, list[tuple[str, Plaintext]]] = defaultdict(list)
        for one in found:
            if one.pending(now) and one.linked_service and (value := self._value(one)) is not None:
                variables[one.linked_service].append((variable_name(one), value))
        return {service: sorted(known, key=lambda pair: pair[0]) for service, known in variables.items()}

    def _value(self, one: Authorization) -> Plaintext | None:
        if one.sealed is None:
            return Plaintext(one.challenge.content)
        return opened(self._vault.keyring(), one.binding(), one.sealed)
