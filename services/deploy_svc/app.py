"""Composition root of deploy_svc."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from kontena.deploy.v1 import (
    assignment_pb2_grpc,
    grid_usage_pb2_grpc,
    secret_usage_pb2_grpc,
    service_pb2_grpc,
)
from services.clients import audit as audit_client
from services.clients import certificates as certificate_client
from services.clients import grids as grid_client
from services.clients import introspection as introspection_client
from services.clients import registries as registry_client
from services.clients import secrets as secret_client
from services.clients.audit import AuditDelivery
from services.clients.certificates import CertificateResolver
from services.clients.grids import GridDirectory
from services.clients.introspection import Introspection
from services.clients.nodes import NodeDirectory
from services.clients.registries import RegistryResolver
from services.clients.secrets import SecretResolver
from services.deploy_svc import stacks_app
from services.deploy_svc.containers_app import CHANNELS, PROTO_SERVICES, ContainerParts
from services.deploy_svc.domain.reconcile import Pace
from services.deploy_svc.domain.rollout_plan import OFFLINE_SECONDS, Limits
from services.deploy_svc.loops import deploy_history, grid_cleanup, log_retention
from services.deploy_svc.loops.deploy_history import DeployHistory
from services.deploy_svc.loops.grid_cleanup import GridCleanup
from services.deploy_svc.loops.log_retention import LogRetention
from services.deploy_svc.loops.reconcile import ReconcileLoop
from services.deploy_svc.loops.rollout import RolloutLoop
from services.deploy_svc.servicers.assignments import AssignmentServicer
from services.deploy_svc.servicers.grid_usage import GridUsageServicer
from services.deploy_svc.servicers.log_ingest import LogIngestServicer
from services.deploy_svc.servicers.secret_usage import SecretUsageServicer
from services.deploy_svc.servicers.services import ServiceServicer
from services.deploy_svc.settings import Settings
from services.deploy_svc.store import grid_usage, secret_usage, tables
from services.deploy_svc.usecases.assignment_feed import VALUES_SECONDS
from services.deploy_svc.usecases.assignments import Assignments
from services.deploy_svc.usecases.grid_usage import GridUsages
from services.deploy_svc.usecases.log_ingest import LogIngest
from services.deploy_svc.usecases.node_views import MISTRUST_SECONDS
from services.deploy_svc.usecases.pod_values import PodValues
from services.deploy_svc.usecases.secret_usage import SecretUsage
from services.deploy_svc.usecases.service_deploys import ServiceDeploys
from services.deploy_svc.usecases.service_envs import ServiceEnvs
from services.deploy_svc.usecases.service_paths import Access
from services.deploy_svc.usecases.services import Services
from services.deploy_svc.usecases.vault_directory import VaultDirectory
from services.kernel import audit, logs, migrations, server
from services.kernel.authn import Authenticator
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from services.kernel.db import Database
from services.kernel.listen import Listener
from services.kernel.loops import Supervisor
from services.kernel.server import Application
from services.kernel.watch import Watch

_NAME = "deploy_svc"
# How often followers are compared with the database.
_RESYNC_SECONDS = 60.0
_PROTO_SERVICES = (
    "kontena.deploy.v1.ServiceService",
    "kontena.deploy.v1.GridUsageService",
    "kontena.deploy.v1.SecretUsageService",
    "kontena.deploy.v1.AssignmentService",
    "kontena.deploy.v1.LogIngestService",
    *PROTO_SERVICES,
    *stacks_app.PROTO_SERVICES,
)


class Channels:
    """To the services that deploy_svc calls."""

    def __init__(self, settings: Settings) -> None:
        self.tokens = ClusterTokens(settings.cluster_secret.get_secret_value())
        channel = partial(ServiceChannel, tokens=self.tokens, caller=_NAME)
        auth_calls = (*introspection_client.IDEMPOTENT, *audit_client.IDEMPOTENT)
        self.auth = channel(settings.auth_address, idempotent=auth_calls)
        self.grid = channel(settings.grid_address, idempotent=grid_client.IDEMPOTENT)
        vault_calls = (*secret_client.IDEMPOTENT, *registry_client.IDEMPOTENT, *certificate_client.IDEMPOTENT)
        self.vault = channel(settings.vault_address, idempotent=vault_calls)

    async def close(self) -> None:
        """Close all of them."""
        await asyncio.gather(self.auth.close(), self.grid.close(), self.vault.close())


async def build(settings: Settings) -> Application:
    """Make everything and connect it."""
    channels = Channels(settings)
    db = Database(settings.database_url, pool_size=settings.database_pool_size)
    followed = (grid_usage.CHANNEL, secret_usage.VAULT_USERS)
    listened = (tables.SERVICE_CHANGED, tables.NODE_CHANGED, tables.outbox.channel, *CHANNELS, *stacks_app.CHANNELS)
    listener = Listener(settings.database_url, (*listened, *followed))
    watch = Watch(db, listener, _RESYNC_SECONDS)
    introspection = Introspection(channels.auth)
    grids, nodes = GridDirectory(channels.grid), NodeDirectory(channels.grid)
    secrets, certificates = SecretResolver(channels.vault), CertificateResolver(channels.vault)
    vault = VaultDirectory(secrets, certificates)
    access = Access(db, grids)
    containers = ContainerParts(settings, channels.tokens, db, listener, (grids, nodes))
    stacks = stacks_app.StackParts(db, listener, (grids, nodes), vault, containers.commands)
    values = PodValues(db, secrets, certificates, RegistryResolver(channels.vault))
    patience = settings.grace_factor
    assignments = Assignments(db, listener, values, nodes, VALUES_SECONDS * patience)
    limits = Limits(offline=OFFLINE_SECONDS * patience)
    rollout = RolloutLoop(db, listener, nodes, grids, limits=limits, mistrust=MISTRUST_SECONDS * patience)
    pace = Pace(grace=patience)
    reconcile = ReconcileLoop(db, nodes, grids, period=settings.reconcile_seconds, pace=pace)
    cleanup, retention = GridCleanup(db, grids), LogRetention(db, settings.log_retention_days)

    supervisor = Supervisor()
    supervisor.add("listener", listener.run)
    supervisor.add("introspection", introspection.watch)
    supervisor.add("grids", grids.informer.run)
    supervisor.add("nodes", nodes.informer.run)
    containers.supervise(supervisor)
    stacks.supervise(supervisor)
    supervisor.add("assignments", assignments.run)
    supervisor.add("rollout", rollout.run)
    supervisor.every("reconcile", reconcile.poll_seconds, reconcile.turn, reconcile.wake)
    supervisor.every("deploy_history", deploy_history.PERIOD_SECONDS, DeployHistory(db).turn)
    handlers = {audit.TOPIC: AuditDelivery(channels.auth).deliver}
    supervisor.add("outbox", partial(tables.outbox.relay, db, listener, handlers))
    supervisor.every("log_retention", log_retention.PERIOD_SECONDS, retention.turn)
    supervisor.every("grid_cleanup", grid_cleanup.PERIOD_SECONDS, cleanup.turn, cleanup.wake)

    async def close() -> None:
        await containers.close()
        await channels.close()
        await db.close()

    async def ready() -> None:
        await db.ping()
        await grids.informer.items()

    return Application(
        authenticator=Authenticator(channels.tokens, introspection.resolve, _PROTO_SERVICES, introspection.on_change),
        servicers=[
            (
                secret_usage_pb2_grpc.add_SecretUsageServiceServicer_to_server,
                SecretUsageServicer(SecretUsage(db, watch)),
            ),
            *containers.servicers,
            *stacks.servicers,
            *_servicers(
                ServiceServicer(
                    Services(db, grids, access, vault),
                    ServiceDeploys(db, access),
                    ServiceEnvs(db, access),
                    stacks.once,
                ),
                GridUsageServicer(GridUsages(db, watch)),
                AssignmentServicer(assignments),
                LogIngestServicer(LogIngest(db, nodes)),
            ),
        ],
        service_names=_PROTO_SERVICES,
        supervisor=supervisor,
        ready=ready,
        close=close,
    )


def _servicers(
    services: ServiceServicer,
    usage: GridUsageServicer,
    assignments: AssignmentServicer,
    ingest: LogIngestServicer,
) -> list[Any]:
    return [
        (service_pb2_grpc.add_ServiceServiceServicer_to_server, services),
        (grid_usage_pb2_grpc.add_GridUsageServiceServicer_to_server, usage),
        (assignment_pb2_grpc.add_AssignmentServiceServicer_to_server, assignments),
        (assignment_pb2_grpc.add_LogIngestServiceServicer_to_server, ingest),
    ]


def migrate(settings: Settings | None = None) -> None:
    """Bring the schema up to date and make the partitions of the next days. Idempotent."""
    chosen = settings or _from_environment()
    migrations.migrate(chosen.database_url, Path(__file__).parent / "migrations", tables.metadata)
    asyncio.run(_prepare_partitions(chosen))


async def _prepare_partitions(settings: Settings) -> None:
    db = Database(settings.database_url, pool_size=1)
    try:
        await LogRetention(db, settings.log_retention_days).prepare()
    finally:
        await db.close()


def run() -> None:
    """Serve until SIGTERM."""
    settings = _from_environment()
    logs.configure(_NAME, settings.log_level)
    server.run(settings, partial(build, settings))


def _from_environment() -> Settings:
    return Settings()  # type: ignore[call-arg]  # The values come from the environment.
