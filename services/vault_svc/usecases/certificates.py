"""What members of a grid do with its certificates (docs/spec/vault.md sections 4.3 and 5.2)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.clients.grids import Grid
from services.clients.secret_usage import SecretUsage
from services.kernel import audit
from services.kernel.db import Tx
from services.kernel.errors import NotFound, ValidationFailed, required
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.principal import Principal
from services.vault_svc.domain import certificate as rules
from services.vault_svc.domain.certificate import Certificate, Material
from services.vault_svc.domain.certificate_request import check_domains, check_secret_certificate, secret_values
from services.vault_svc.domain.plaintext import Plaintext
from services.vault_svc.domain.resource_id import split
from services.vault_svc.policy import revealable
from services.vault_svc.store import authorizations as authorization_store
from services.vault_svc.store import certificates as store
from services.vault_svc.store import orders as order_store
from services.vault_svc.store import tables
from services.vault_svc.usecases.certificate_writes import CertificateWriter
from services.vault_svc.usecases.issuance import Issuance, Issued
from services.vault_svc.usecases.parts import Parts, UseCases
from services.vault_svc.usecases.secret_writes import Change, SecretWriter
from services.vault_svc.usecases.usage import Redeploys


@dataclass(frozen=True, slots=True)
class CertificateView:
    """A certificate as callers see it."""

    grid: str
    certificate: Certificate
    auto_renewable: bool


class Certificates(UseCases):
    def __init__(
        self,
        parts: Parts,
        secrets: SecretWriter,
        certificates: CertificateWriter,
        issuance: Issuance,
        usage: SecretUsage,
        *,
        redeploys: Redeploys,
    ) -> None:
        super().__init__(parts)
        self._secrets = secrets
        self._certificates = certificates
        self._issuance = issuance
        self._usage = usage
        self._redeploys = redeploys

    async def of_grid(self, principal: Principal, grid_name: str, page: Page = WHOLE) -> Listing[CertificateView]:
        """All certificates of a grid by subject."""
        grid = await self._grids.accessible(principal, grid_name)
        async with self._db.read() as tx:
            found = await store.of_grid(tx, grid.id, page)
            return Listing(await self._views(tx, grid, found), found.next)

    async def show(self, principal: Principal, certificate_id: str) -> CertificateView:
        """One certificate. Raises NotFound."""
        grid_name, subject = split(certificate_id)
        grid = await self._grids.accessible(principal, grid_name)
        async with self._db.read() as tx:
            found = required(await store.find(tx, grid.id, subject))
            return (await self._views(tx, grid, [found]))[0]

    async def create(self, principal: Principal, grid_name: str, domains: Sequence[str]) -> CertificateView:
        """Get a certificate for authorized domains. Raises ValidationFailed, AcmeUnreachable."""
        grid = await self._grids.changeable(principal, grid_name)
        self._vault.keyring()
        names = check_domains(domains)
        issued = await self._issuance.issue(grid, names)
        async with self._db.transaction() as tx:
            kept = await self.keep(tx, grid, names, issued, event="create")
        await self._redeploys.of_certificate(grid, names[0])
        return kept

    async def keep(self, tx: Tx, grid: Grid, names: tuple[str, ...], issued: Issued, *, event: str) -> CertificateView:
        """Store an issued certificate and tell the services that use it."""
        saved = await self._certificates.put(tx, grid, names, issued.material, directory=issued.directory)
        await order_store.delete(tx, issued.order_id)
        await audit.record(tx, tables.outbox, event, resource(grid, saved))
        return (await self._views(tx, grid, [saved]))[0]

    async def create_in_secrets(
        self,
        principal: Principal,
        grid_name: str,
        *,
        secret_name: str | None,
        domains: Sequence[str],
        cert_type: str | None,
    ) -> list[str]:
        """Get a certificate and write it to three secrets, all or none. Raises ValidationFailed, AcmeUnreachable."""
        grid = await self._grids.changeable(principal, grid_name)
        self._vault.keyring()
        given = check_secret_certificate(secret_name, domains, cert_type)
        issued = await self._issuance.issue(grid, given.domains)
        values = secret_values(given, issued.material)
        async with self._db.transaction() as tx:
            for name, value in values:
                await self._put(tx, grid, name, value)
            await order_store.delete(tx, issued.order_id)
            made = audit.Resource("Certificate", given.secret_name, given.domains[0], grid.id, grid.name)
            await audit.record(tx, tables.outbox, "create", made)
        written = [name for name, _ in values]
        await self._redeploys.of_secrets(grid, *written)
        return written

    async def export(self, principal: Principal, certificate_id: str) -> tuple[Grid, Certificate, Material]:
        """A certificate with its key, for whoever is no viewer. Every export leaves an audit event. Raises NotFound."""
        grid_name, subject = split(certificate_id)
        grid = await revealable(self._grids, principal, grid_name)
        self._vault.keyring()
        async with self._db.transaction() as tx:
            found = await store.find_many(tx, grid.id, [subject])
            if not found:
                raise NotFound
            stored = found[0]
            material = self._certificates.open(stored)
            await audit.record(tx, tables.outbox, "export", resource(grid, stored.shown))
        return grid, stored.shown, material

    async def import_(
        self,
        principal: Principal,
        certificate_id: str,
        *,
        certificate: str | None,
        private_key: Plaintext | None,
        chain: list[str],
    ) -> CertificateView:
        """Store a certificate made elsewhere, in place of an older one. Raises ValidationFailed."""
        grid_name, subject = split(certificate_id)
        grid = await self._grids.changeable(principal, grid_name)
        self._vault.keyring()
        required(subject or None)
        material, found = rules.check_import(subject, certificate, private_key, chain)
        names = (subject, *(name for name in found.names if name != subject))
        async with self._db.transaction() as tx:
            saved = await self._certificates.put(tx, grid, names, material, directory=None)
            await audit.record(tx, tables.outbox, "create", resource(grid, saved))
            (view,) = await self._views(tx, grid, [saved])
        await self._redeploys.of_certificate(grid, subject)
        return view

    async def delete(self, principal: Principal, certificate_id: str) -> None:
        """Remove a certificate that no service uses. Raises NotFound, ValidationFailed, Unavailable."""
        grid_name, subject = split(certificate_id)
        grid = await self._grids.changeable(principal, grid_name)
        async with self._db.read() as tx:
            if await store.find(tx, grid.id, subject) is None:
                raise NotFound
        users = (await self._usage.of_certificates(grid.id, [subject])).get(subject, ())
        if users:
            text = f"Certificate still in use in services: {','.join(user.id for user in users)}"
            raise ValidationFailed({"certificate": text})
        async with self._db.transaction() as tx:
            found = required(await store.find(tx, grid.id, subject, lock=True))
            await store.delete(tx, grid.id, subject)
            await audit.record(tx, tables.outbox, "delete", resource(grid, found))

    async def _put(self, tx: Tx, grid: Grid, name: str, value: Plaintext) -> None:
        try:
            await self._secrets.put(tx, grid, Change(name, value, upsert=True))
        except ValidationFailed as error:
            text = f"Certificate storing to vault failed: {error.message}"
            raise ValidationFailed({"cert_store": text}) from None

    async def _views(self, tx: Tx, grid: Grid, found: Iterable[Certificate]) -> list[CertificateView]:
        known = await authorization_store.of_grid(tx, grid.id)
        renewable = {one.domain for one in known if one.renewable()}
        return [CertificateView(grid.name, one, renewable.issuperset(one.domains)) for one in found]


def resource(grid: Grid, certificate: Certificate) -> audit.Resource:
    """The certificate as the audit trail names it."""
    return audit.Resource("Certificate", certificate.id, certificate.subject, grid.id, grid.name)
