"""Composition root of vault_svc."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

from kontena.vault.v1 import (
    external_registry_pb2_grpc,
    registry_delivery_pb2_grpc,
    secret_delivery_pb2_grpc,
    secret_pb2_grpc,
)
from services.clients import audit, grids, introspection, secret_usage
from services.clients.grids import Grid, GridDirectory
from services.clients.introspection import Introspection
from services.clients.secret_usage import SecretUsage
from services.kernel import logs, server
from services.kernel.audit import TOPIC
from services.kernel.authn import Authenticator
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from services.kernel.db import Database
from services.kernel.errors import Unavailable
from services.kernel.informer import Change, Delete
from services.kernel.listen import Listener
from services.kernel.loops import Supervisor
from services.kernel.migrations import migrate as run_migrations
from services.kernel.outbox import Handler, Outbox
from services.kernel.server import Application
from services.vault_svc.domain.keys import keyring
from services.vault_svc.loops.departed_grids import DepartedGrids, snapshot_of
from services.vault_svc.servicers.external_registries import ExternalRegistryServicer
from services.vault_svc.servicers.registry_delivery import RegistryDeliveryServicer
from services.vault_svc.servicers.secret_delivery import SecretDeliveryServicer
from services.vault_svc.servicers.secrets import SecretServicer
from services.vault_svc.settings import VaultSettings
from services.vault_svc.store import tables
from services.vault_svc.usecases.external_registries import ExternalRegistries, RegistryDelivery
from services.vault_svc.usecases.key_rotation import KeyRotation
from services.vault_svc.usecases.secret_delivery import SecretDelivery
from services.vault_svc.usecases.secret_writes import SecretWriter
from services.vault_svc.usecases.secrets import Secrets
from services.vault_svc.usecases.usage import SecretUsers
from services.vault_svc.usecases.vault import Vault

SERVICE_NAMES = tuple(
    f"kontena.vault.v1.{name}"
    for name in (
        "SecretService",
        "SecretDeliveryService",
        "ExternalRegistryService",
        "RegistryDeliveryService",
    )
)
_LONGEST_PERIOD = 60.0

log = logs.get_logger(__name__)


class Channels:
    """To the services that vault_svc calls."""

    def __init__(self, settings: VaultSettings) -> None:
        self.tokens = ClusterTokens(settings.cluster_secret.get_secret_value())
        channel = partial(ServiceChannel, tokens=self.tokens, caller="vault_svc")
        self.auth = channel(settings.auth_address, idempotent=(*introspection.IDEMPOTENT, *audit.IDEMPOTENT))
        self.grid = channel(settings.grid_address, idempotent=grids.IDEMPOTENT)
        self.deploy = channel(settings.deploy_address, idempotent=secret_usage.IDEMPOTENT)

    async def close(self) -> None:
        """Close all of them."""
        await asyncio.gather(self.auth.close(), self.grid.close(), self.deploy.close())


async def build(settings: VaultSettings) -> Application:
    """Everything of one process, not yet running. Raises ValueError for a key that is no good."""
    db = Database(settings.database_url, pool_size=settings.database_pool_size)
    vault = _vault(db, settings)
    channels = Channels(settings)
    callers = Introspection(channels.auth)
    directory = GridDirectory(channels.grid)
    usage = SecretUsage(channels.deploy)
    outbox = Outbox(tables.outbox)
    writer = SecretWriter(outbox, vault, longest_value=settings.secret_value_limit)
    supervisor = Supervisor()
    _follow(supervisor, callers, directory)
    _relay(supervisor, settings, db, outbox, _deliveries(channels, usage))
    margin = timedelta(seconds=settings.grid_purge_seconds)
    _purge(supervisor, directory, DepartedGrids(db, directory, snapshot_of(channels.grid), margin), margin)

    async def ready() -> None:
        await vault.unlock()
        await db.ping()

    async def close() -> None:
        await channels.close()
        await db.close()

    return Application(
        authenticator=Authenticator(channels.tokens, callers.resolve, SERVICE_NAMES),
        servicers=(
            (
                secret_pb2_grpc.add_SecretServiceServicer_to_server,
                SecretServicer(Secrets(db, directory, vault, writer, SecretUsers(usage))),
            ),
            (
                secret_delivery_pb2_grpc.add_SecretDeliveryServiceServicer_to_server,
                SecretDeliveryServicer(SecretDelivery(db, vault)),
            ),
            (
                external_registry_pb2_grpc.add_ExternalRegistryServiceServicer_to_server,
                ExternalRegistryServicer(ExternalRegistries(db, outbox, directory, vault)),
            ),
            (
                registry_delivery_pb2_grpc.add_RegistryDeliveryServiceServicer_to_server,
                RegistryDeliveryServicer(RegistryDelivery(db, vault)),
            ),
        ),
        service_names=SERVICE_NAMES,
        supervisor=supervisor,
        ready=ready,
        close=close,
    )


def run() -> None:
    """Serve until SIGTERM."""
    settings = _settings()
    server.run(settings, partial(build, settings))


def migrate() -> None:
    """Bring the schema up to date."""
    run_migrations(_settings().database_url, Path(__file__).parent / "migrations", tables.metadata)


def rotate_keys() -> int:
    """Bring all values under the current key; the exit status is 0 when none is left under another one."""
    return asyncio.run(rotate(_settings()))


async def rotate(settings: VaultSettings) -> int:
    """The body of `rotate_keys`."""
    db = Database(settings.database_url, pool_size=1)
    try:
        vault = _vault(db, settings)
        await vault.unlock()
        return min(1, await KeyRotation(db, vault).run())
    except Unavailable as error:
        log.error("keys are not rotated", reason=error.message)
        return 1
    finally:
        await db.close()


def _settings() -> VaultSettings:
    settings = VaultSettings()  # type: ignore[call-arg]  # The environment fills it.
    logs.configure("vault_svc", settings.log_level)
    return settings


def _vault(db: Database, settings: VaultSettings) -> Vault:
    return Vault(db, keyring(settings.vault_key.get_secret_value(), settings.vault_old_keys.get_secret_value()))


def _follow(supervisor: Supervisor, callers: Introspection, directory: GridDirectory) -> None:
    supervisor.add("vault.callers", callers.watch)
    supervisor.add("vault.grids", directory.informer.run)


def _deliveries(channels: Channels, usage: SecretUsage) -> Mapping[str, Handler]:
    return {
        TOPIC: audit.AuditDelivery(channels.auth).deliver,
        secret_usage.SECRET_CHANGED: usage.deliver_secrets,
        secret_usage.CERTIFICATE_CHANGED: usage.deliver_certificates,
    }


def _relay(
    supervisor: Supervisor, settings: VaultSettings, db: Database, outbox: Outbox, handlers: Mapping[str, Handler]
) -> None:
    listener = Listener(settings.database_url, [outbox.channel])
    supervisor.add("vault.listener", listener.run)
    supervisor.add("vault.outbox", partial(outbox.relay, db, listener, handlers))


def _purge(supervisor: Supervisor, directory: GridDirectory, departed: DepartedGrids, margin: timedelta) -> None:
    wake = asyncio.Event()

    def on_change(change: Change[Grid]) -> None:
        if isinstance(change, Delete):
            wake.set()

    directory.informer.on_change(on_change)
    supervisor.every("vault.departed_grids", min(_LONGEST_PERIOD, margin.total_seconds()), departed.turn, wake)
