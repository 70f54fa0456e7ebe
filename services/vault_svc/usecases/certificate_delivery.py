"""Hands certificates and pending challenges to the service that sends assignments to nodes."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

from services.kernel.db import Database
from services.vault_svc.domain.authorization import Authorization, variable_name
from services.vault_svc.domain.certificate import Material
from services.vault_svc.domain.envelope import unseal
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.store import authorizations as authorization_store
from services.vault_svc.store import certificates as store
from services.vault_svc.usecases.vault import Vault


class CertificateDelivery:
    """For other services of the suite only; the authenticator keeps everyone else out."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._db = db
        self._vault = vault

    async def bundles(self, grid_id: str, subjects: Iterable[str]) -> dict[str, Plaintext]:
        """Leaf, chain and key by subject, read in one query; subjects that do not exist are left out."""
        keyring = self._vault.keyring()
        wanted = {subject for subject in subjects if subject and "\0" not in subject}
        if not wanted:
            return {}
        async with self._db.read() as tx:
            found = await store.find_many(tx, grid_id, wanted)
        return {
            one.shown.subject: Plaintext(
                Material(one.leaf, one.chain, unseal(keyring, one.shown.binding(), one.sealed)).bundle()
            )
            for one in found
        }

    async def challenges(self, grid_id: str, services: Iterable[str]) -> dict[str, list[tuple[str, Plaintext]]]:
        """What linked services must publish: variables by `stack/service`, sorted by name."""
        wanted = {service for service in services if service and "\0" not in service}
        if not wanted:
            return {}
        async with self._db.read() as tx:
            found = await authorization_store.linked_to(tx, grid_id, wanted)
        now = datetime.now(UTC)
        variables: dict[str, list[tuple[str, Plaintext]]] = defaultdict(list)
        for one in found:
            if one.pending(now) and one.linked_service:
                variables[one.linked_service].append((variable_name(one), self._value(one)))
        return {service: sorted(known, key=lambda pair: pair[0]) for service, known in variables.items()}

    def _value(self, one: Authorization) -> Plaintext:
        if one.sealed is None:
            return Plaintext(one.challenge.content)
        return unseal(self._vault.keyring(), one.binding(), one.sealed)
