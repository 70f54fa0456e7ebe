"""Export and import of everything the vault keeps of a grid, for backup. Values are decrypted with the keys of this
installation and encrypted again with those of the one that imports."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from services.clients.grids import Grid
from services.kernel import audit
from services.kernel.db import Tx
from services.kernel.ids import new_id
from services.vault_svc.domain import bindings
from services.vault_svc.domain.acme import Challenge
from services.vault_svc.domain.authorization import Authorization
from services.vault_svc.domain.backup import Contents
from services.vault_svc.domain.certificate import Material, StoredCertificate
from services.vault_svc.domain.envelope import Binding, Sealed, seal, unseal
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.domain.registry import RegistryInput
from services.vault_svc.store import authorizations as authorization_store
from services.vault_svc.store import certificates as certificate_store
from services.vault_svc.store import moment, tables
from services.vault_svc.store import registries as registry_store
from services.vault_svc.store import secrets as secret_store
from services.vault_svc.usecases.certificate_writes import CertificateWriter
from services.vault_svc.usecases.parts import Parts, UseCases
from services.vault_svc.usecases.secret_writes import Change, SecretWriter


class Backup(UseCases):
    """Both directions are one transaction each: an export is one moment, an import is all or nothing."""

    def __init__(self, parts: Parts, secrets: SecretWriter, certificates: CertificateWriter) -> None:
        super().__init__(parts)
        self._secrets = secrets
        self._certificates = certificates

    async def read(self, grid: Grid) -> Contents:
        """Everything of the grid in clear. Raises Unavailable, Undecryptable."""
        self._vault.keyring()
        async with self._db.transaction() as tx:
            await moment.hold(tx)
            names = await secret_store.names(tx, grid.id)
            return Contents(
                grid=grid.name,
                secrets=[
                    {"name": one.secret.name, "value": self._secrets.open(one).reveal()}
                    for one in await secret_store.find_many(tx, grid.id, names)
                ],
                registries=[
                    {
                        "url": one.registry.url,
                        "name": one.registry.name,
                        "username": one.registry.username,
                        "email": one.registry.email,
                        "password": self._open(one.registry.binding(), one.sealed),
                    }
                    for one in await registry_store.find_many(tx, grid.id)
                ],
                certificates=[self._certificate(one) for one in await certificate_store.find_many(tx, grid.id)],
                authorizations=[self._authorization(one) for one in await authorization_store.of_grid(tx, grid.id)],
            )

    async def exported(self, grid: Grid) -> None:
        """Record that what was read has left the vault."""
        async with self._db.transaction() as tx:
            await self._audit(tx, "export", grid)

    async def write(self, grid: Grid, contents: Contents) -> dict[str, int]:
        """Bring everything in `contents` into the grid, over what it has of the same name; other things stay. Services
        that use what changed are told. Returns how many of each kind there were. Raises ValidationFailed."""
        self._vault.keyring()
        async with self._db.transaction() as tx:
            for secret in contents.secrets:
                await self._secrets.put(tx, grid, Change(secret["name"], Plaintext(secret["value"]), upsert=True))
            for registry in contents.registries:
                await self._put_registry(tx, grid, registry)
            for certificate in contents.certificates:
                await self._put_certificate(tx, grid, certificate)
            for authorization in contents.authorizations:
                await self._put_authorization(tx, grid, authorization)
            await self._audit(tx, "import", grid)
        kinds = ("secrets", "registries", "certificates", "authorizations")
        return {kind: len(getattr(contents, kind)) for kind in kinds}

    def _certificate(self, one: StoredCertificate) -> dict[str, Any]:
        shown = one.shown
        return {
            "subject": shown.subject,
            "alt_names": list(shown.alt_names),
            "valid_from": shown.valid_from.isoformat(),
            "valid_until": shown.valid_until.isoformat(),
            "certificate": one.leaf,
            "chain": one.chain,
            "directory": one.directory,
            "private_key": self._certificates.open(one).key.reveal(),
        }

    def _authorization(self, one: Authorization) -> dict[str, Any]:
        plain = ("domain", "type", "state", "directory", "url", "order_url", "thumbprint", "problem", "linked_service")
        return {
            **{name: getattr(one, name) for name in plain},
            "challenge": asdict(one.challenge),
            "expires_at": one.expires_at.isoformat() if one.expires_at else None,
            "tls_key": self._open(one.binding(), one.sealed) if one.sealed else None,
        }

    async def _put_registry(self, tx: Tx, grid: Grid, one: Mapping[str, Any]) -> None:
        given = RegistryInput(one["name"], one["url"], one["username"], Plaintext(one["password"]), one["email"])
        registry_id = new_id()
        sealed = seal(self._vault.keyring(), bindings.registry(grid.id, given.name, registry_id), given.password)
        await registry_store.delete(tx, grid.id, given.name)
        await registry_store.insert(tx, registry_id, grid.id, given, sealed)

    async def _put_certificate(self, tx: Tx, grid: Grid, one: Mapping[str, Any]) -> None:
        material = Material(one["certificate"], one["chain"], Plaintext(one["private_key"]))
        names = (one["subject"], *one["alt_names"])
        await self._certificates.put(tx, grid, names, material, directory=one["directory"])

    async def _put_authorization(self, tx: Tx, grid: Grid, one: Mapping[str, Any]) -> None:
        older = await authorization_store.find(tx, grid.id, one["domain"])
        fields = {name: value for name, value in one.items() if name not in {"challenge", "expires_at", "tls_key"}}
        expires_at = datetime.fromisoformat(one["expires_at"]) if one["expires_at"] else None
        authorization_id = older.id if older else new_id()
        sealed: Sealed | None = None
        if one["tls_key"] is not None:
            binding = bindings.authorization(grid.id, one["domain"], authorization_id)
            sealed = seal(self._vault.keyring(), binding, Plaintext(one["tls_key"]))
        await authorization_store.save(
            tx,
            Authorization(
                id=authorization_id,
                grid_id=grid.id,
                challenge=Challenge(**one["challenge"]),
                expires_at=expires_at,
                sealed=sealed,
                **fields,
            ),
        )

    def _open(self, binding: Binding, sealed: Sealed) -> str:
        return unseal(self._vault.keyring(), binding, sealed).reveal()

    async def _audit(self, tx: Tx, event: str, grid: Grid) -> None:
        await audit.record(tx, tables.outbox, event, audit.Resource("Vault", grid.id, grid.name, grid.id, grid.name))
