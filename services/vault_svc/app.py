"""Composition root of vault_svc."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

from services.clients import audit, grid_events, secret_usage
from services.clients.grids import Grid, GridDirectory
from services.clients.introspection import Introspection
from services.clients.secret_usage import SecretUsage
from services.clients.vault_users import VaultUsers
from services.kernel import logs
from services.kernel.audit import TOPIC
from services.kernel.authn import Authenticator
from services.kernel.client import Channels
from services.kernel.db import Database
from services.kernel.entry import Program
from services.kernel.errors import Unavailable
from services.kernel.informer import Change, Delete
from services.kernel.loops import Supervisor
from services.kernel.outbox import Handler
from services.kernel.schema import Migrations
from services.kernel.server import Application
from services.vault_svc.ca.authority import Authority, Directory
from services.vault_svc.ca.txt_records import TxtRecords
from services.vault_svc.convert.secrets import part
from services.vault_svc.loops.departed_grids import DepartedGrids, snapshot_of
from services.vault_svc.servicers.certificate_delivery import CertificateDeliveryServicer
from services.vault_svc.servicers.certificates import CertificateServicer
from services.vault_svc.servicers.domain_authorizations import DomainAuthorizationServicer
from services.vault_svc.servicers.external_registries import ExternalRegistryServicer
from services.vault_svc.servicers.registry_delivery import RegistryDeliveryServicer
from services.vault_svc.servicers.secret_delivery import SecretDeliveryServicer
from services.vault_svc.servicers.secrets import SecretServicer
from services.vault_svc.settings import Settings
from services.vault_svc.store import tables
from services.vault_svc.usecases.acme_accounts import AcmeAccounts
from services.vault_svc.usecases.certificate_delivery import CertificateDelivery
from services.vault_svc.usecases.certificate_writes import CertificateWriter
from services.vault_svc.usecases.certificates import Certificates
from services.vault_svc.usecases.challenges import Challenges
from services.vault_svc.usecases.domain_authorizations import DomainAuthorizations
from services.vault_svc.usecases.external_registries import ExternalRegistries, RegistryDelivery
from services.vault_svc.usecases.issuance import Issuance
from services.vault_svc.usecases.key_rotation import KeyRotation
from services.vault_svc.usecases.parts import Parts
from services.vault_svc.usecases.renewals import Renewals
from services.vault_svc.usecases.secret_delivery import SecretDelivery
from services.vault_svc.usecases.secret_writes import SecretWriter
from services.vault_svc.usecases.secrets import Secrets
from services.vault_svc.usecases.usage import HostLevelUsers, Redeploys, SecretUsers
from services.vault_svc.usecases.vault import Vault

_LONGEST_PERIOD = 60.0
_MIGRATIONS = Path(__file__).parent / "migrations"
_VERIFY_SECONDS = 30.0

log = logs.get_logger(__name__)


async def build(settings: Settings) -> Application:
    """Everything of one process, not yet running. Raises ValueError for a key that is no good."""
    db = Database(settings.database_url, pool_size=settings.database_pool_size)
    channels = Channels(settings, "vault_svc")
    callers = Introspection(channels.to("auth"))
    usage = SecretUsage(channels.to("deploy"))
    parts = Parts(db, GridDirectory(channels.to("grid")), Vault(db, settings.keyring()), settings)
    authority = Authority(_directory(settings))
    users = VaultUsers(channels.to("deploy"))
    work = Work(parts, usage, users, authority=authority, settings=settings)
    supervisor = Supervisor()
    supervisor.add("vault_users", users.informer.run)
    supervisor.add("introspection", callers.watch)
    supervisor.add("grids", parts.grids.informer.run)
    supervisor.add("outbox", partial(tables.outbox.relay, db, _deliveries(channels, usage)))
    margin = timedelta(seconds=settings.grid_purge_seconds)
    _purge(supervisor, parts.grids, DepartedGrids(db, parts.grids, snapshot_of(channels.to("grid")), margin), margin)
    supervisor.every("renewals", settings.certificate_renewal_seconds, work.renewals.turn)

    async def ready() -> None:
        await parts.vault.unlock()
        await db.ping()

    async def close() -> None:
        authority.close()
        await channels.close()
        await db.close()

    servicers = _servicers(parts, work)
    return Application(
        authenticator=Authenticator(channels.tokens, callers.resolve, servicers, callers.on_change),
        servicers=servicers,
        supervisor=supervisor,
        schema=partial(Migrations(_MIGRATIONS, str(tables.metadata.schema)).check, db),
        ready=ready,
        close=close,
    )


class Work:
    """The use cases that depend on one another."""

    def __init__(
        self, parts: Parts, usage: SecretUsage, users: VaultUsers, *, authority: Authority, settings: Settings
    ) -> None:
        limit = settings.acme_issue_timeout
        known = SecretUsers(users)
        hosts = HostLevelUsers(usage, known)
        writer = SecretWriter(parts.vault, settings, known, longest_value=settings.secret_value_limit)
        records = TxtRecords(settings.acme_dns_resolver)
        challenges = Challenges(parts.db, parts.vault, usage, records, verify_seconds=_VERIFY_SECONDS)
        margin = timedelta(days=settings.certificate_renewal_days)
        self.secrets = Secrets(parts, writer, known, part, hosts)
        self.accounts = AcmeAccounts(parts, writer, authority, limit=limit)
        self.authorizations = DomainAuthorizations(parts, self.accounts, challenges, usage)
        issuance = Issuance(parts.db, parts.vault, self.accounts, challenges)
        certificate_writer = CertificateWriter(parts.vault, settings)
        redeploys = Redeploys(parts.db, known)
        self.certificates = Certificates(parts, writer, certificate_writer, issuance, usage, redeploys=redeploys)
        self.renewals = Renewals(parts, self.certificates, self.authorizations, issuance, margin=margin)


def _servicers(parts: Parts, work: Work) -> list[object]:
    db, vault = parts.db, parts.vault
    return [
        SecretServicer(work.secrets),
        ExternalRegistryServicer(ExternalRegistries(parts)),
        CertificateServicer(work.accounts, work.authorizations, work.certificates),
        DomainAuthorizationServicer(work.authorizations),
        SecretDeliveryServicer(SecretDelivery(db, vault)),
        RegistryDeliveryServicer(RegistryDelivery(db, vault)),
        CertificateDeliveryServicer(CertificateDelivery(db, vault)),
    ]


async def rotate(settings: Settings) -> int:
    """Bring all values under the current key; the exit status is 0 when none is left under another one."""
    db = Database(settings.database_url, pool_size=1)
    try:
        vault = Vault(db, settings.keyring())
        await vault.unlock()
        return min(1, await KeyRotation(db, vault).run())
    except Unavailable as error:
        log.error("keys are not rotated", reason=error.message)
        return 1
    finally:
        await db.close()


def _directory(settings: Settings) -> Directory:
    binding = (settings.acme_eab_kid, settings.acme_eab_hmac_key.get_secret_value())
    return Directory(
        settings.acme_endpoint, settings.acme_ca_file, settings.acme_timeout, binding if all(binding) else None
    )


def _deliveries(channels: Channels, usage: SecretUsage) -> Mapping[str, Handler]:
    return {
        TOPIC: audit.AuditDelivery(channels.to("auth")).deliver,
        grid_events.TOPIC: grid_events.GridEventDelivery(channels.to("deploy")).deliver,
        secret_usage.SECRET_CHANGED: usage.deliver_secrets,
        secret_usage.CERTIFICATE_CHANGED: usage.deliver_certificates,
    }


def _purge(supervisor: Supervisor, directory: GridDirectory, departed: DepartedGrids, margin: timedelta) -> None:
    wake = asyncio.Event()

    def on_change(change: Change[Grid]) -> None:
        if isinstance(change, Delete):
            wake.set()

    directory.informer.on_change(on_change)
    supervisor.every("departed_grids", min(_LONGEST_PERIOD, margin.total_seconds()), departed.turn, wake)


PROGRAM = Program("vault_svc", Settings, build, _MIGRATIONS, tables.metadata)
