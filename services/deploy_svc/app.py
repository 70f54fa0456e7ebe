"""Composition root of deploy_svc."""

import asyncio
import os
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

from services.clients.audit import AuditDelivery
from services.clients.certificates import CertificateResolver
from services.clients.grids import GridDirectory
from services.clients.introspection import Introspection
from services.clients.nodes import NodeDirectory
from services.clients.registries import RegistryResolver
from services.clients.secrets import SecretResolver
from services.deploy_svc import engine_app, stacks_app
from services.deploy_svc.clients.vault_directory import VaultDirectory
from services.deploy_svc.containers_app import CHANNELS, ContainerParts
from services.deploy_svc.convert.services import around, part
from services.deploy_svc.engine_app import EngineParts
from services.deploy_svc.servicers.assignments import AssignmentServicer
from services.deploy_svc.servicers.endpoints import EndpointServicer
from services.deploy_svc.servicers.grid_usage import GridUsageServicer
from services.deploy_svc.servicers.log_ingest import LogIngestServicer
from services.deploy_svc.servicers.secret_usage import SecretUsageServicer
from services.deploy_svc.servicers.services import ServiceServicer
from services.deploy_svc.settings import Settings
from services.deploy_svc.store import grid_usage, secret_usage, tables
from services.deploy_svc.store.partitions import PARTITIONS
from services.deploy_svc.usecases.assignment_feed import VALUES_SECONDS
from services.deploy_svc.usecases.assignments import Assignments
from services.deploy_svc.usecases.endpoints import Endpoints
from services.deploy_svc.usecases.grid_quotas import GridQuotas
from services.deploy_svc.usecases.grid_usage import GridUsages
from services.deploy_svc.usecases.host_access import HostAccess
from services.deploy_svc.usecases.idempotency import Idempotency
from services.deploy_svc.usecases.log_ingest import LogIngest
from services.deploy_svc.usecases.patience import Patience
from services.deploy_svc.usecases.pod_values import PodValues
from services.deploy_svc.usecases.rebalances import Rebalances
from services.deploy_svc.usecases.secret_usage import SecretUsage
from services.deploy_svc.usecases.service_deploys import ServiceDeploys
from services.deploy_svc.usecases.service_envs import ServiceEnvs
from services.deploy_svc.usecases.service_paths import Access
from services.deploy_svc.usecases.service_plans import ServicePlans
from services.deploy_svc.usecases.service_reads import ServiceReads
from services.deploy_svc.usecases.service_revisions import ServiceRevisions
from services.deploy_svc.usecases.services import Services
from services.kernel import audit, child, logs, server
from services.kernel.authn import Authenticator
from services.kernel.client import Channels
from services.kernel.db import Database
from services.kernel.entry import Program
from services.kernel.errors import NotReady
from services.kernel.listen import Listener, Wakes
from services.kernel.loops import Supervisor
from services.kernel.schema import Migrations
from services.kernel.server import Application
from services.kernel.watch import Watch

_NAME = "deploy_svc"
# The command with which a process of the role `both` starts its engine.
BESIDE = "engine-beside"
_NICE = 5
_MIGRATIONS = Path(__file__).parent / "migrations"
# How often followers are compared with the database.
_RESYNC_SECONDS = 60.0
_API_CHANNELS = (
    tables.NODE_CHANGED,
    tables.ENDPOINT_CHANGED,
    tables.DEPLOY_PROGRESS,
    tables.outbox.channel,
    grid_usage.CHANNEL,
    secret_usage.VAULT_USERS,
    *CHANNELS,
)


class Shared:
    """What both roles need: Postgres, the other services, and local copies of grids and nodes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.channels = Channels(settings, _NAME)
        self.db = Database(settings.database_url, pool_size=settings.database_pool_size)
        for_api = _API_CHANNELS if settings.role != "engine" else ()
        for_engine = engine_app.CHANNELS if settings.role != "api" else ()
        self.listener = Listener(settings.database_url, (*for_api, *for_engine))
        self.introspection = Introspection(self.channels.to("auth"))
        self.grids, self.nodes = GridDirectory(self.channels.to("grid")), NodeDirectory(self.channels.to("grid"))
        self.patience = Patience(self.nodes, settings.grace_factor)
        self.supervisor = Supervisor()
        self.supervisor.add("listener", self.listener.run)
        self.supervisor.add("grids", self.grids.informer.run)
        self.supervisor.add("nodes", self.nodes.informer.run)

    async def ready(self) -> None:
        """Raises until requests can be answered and deploys carried out; NotReady while local copies only get older."""
        await self.db.ping()
        await asyncio.gather(self.grids.informer.items(), self.nodes.informer.items())
        if (reason := self.grids.informer.broken() or self.nodes.informer.broken()) is not None:
            raise NotReady(reason)

    async def close(self) -> None:
        """Free what was opened."""
        await self.channels.close()
        await self.db.close()


async def build(settings: Settings) -> Application:
    """Make everything that the role needs, and connect it. With `both`, the loops share the event loop with requests,
    as in no process that serves."""
    shared = Shared(settings)
    api = ApiParts(shared) if settings.role != "engine" else None
    if api:
        api.supervise()
    if settings.role != "api":
        directories = (shared.grids, shared.nodes)
        EngineParts(settings, shared.db, shared.listener, directories, shared.patience).supervise(shared.supervisor)

    async def close() -> None:
        if api:
            await api.close()
        await shared.close()

    servicers = api.servicers if api else ()
    introspection = shared.introspection
    return Application(
        authenticator=Authenticator(shared.channels.tokens, introspection.resolve, servicers, introspection.on_change),
        servicers=servicers,
        supervisor=shared.supervisor,
        schema=partial(Migrations(_MIGRATIONS, str(tables.metadata.schema)).check, shared.db),
        ready=shared.ready,
        close=close,
        leave=api.leave if api else None,
    )


class ApiParts:
    """The role `api`: answers requests and agents."""

    def __init__(self, shared: Shared) -> None:
        db, grids, nodes, vault = shared.db, shared.grids, shared.nodes, shared.channels.to("vault")
        self._shared = shared
        secrets, certificates = SecretResolver(vault), CertificateResolver(vault)
        names = VaultDirectory(db, secrets, certificates)
        access = Access(db, grids, HostAccess(shared.settings.open_host_paths()))
        self._containers = ContainerParts(
            shared.settings, shared.channels.tokens, db, shared.listener, (grids, nodes), access=access
        )
        quotas = GridQuotas(shared.settings)
        reads = ServiceReads(db, part, around)
        self._deploy_wakes = Wakes(shared.listener, tables.DEPLOY_PROGRESS)
        self._stacks = stacks_app.StackParts(
            db,
            (grids, nodes),
            names,
            self._containers.commands,
            shared.patience,
            hosts=access.hosts,
            quotas=quotas,
            reads=reads,
            wakes=self._deploy_wakes,
            once=Idempotency(db, shared.settings, timedelta(hours=shared.settings.idempotency_hours)),
        )
        values = PodValues(db, secrets, certificates, RegistryResolver(vault))
        patience = VALUES_SECONDS * shared.settings.grace_factor
        self._assignments = Assignments(db, shared.listener, values, nodes, patience)
        self._endpoints = Endpoints(db, shared.listener, nodes)
        watch = Watch(db, shared.listener, _RESYNC_SECONDS)
        services = ServiceServicer(
            Services(db, grids, access, names, reads=reads, quotas=quotas),
            ServiceDeploys(db, access, self._deploy_wakes),
            ServiceEnvs(db, access, quotas),
            ServicePlans(db, access, names, self._stacks.dry_runs),
            ServiceRevisions(db, access, names, quotas),
            rebalances=Rebalances(db, access, grids, self._stacks.dry_runs),
            once=self._stacks.once,
        )
        self.servicers: list[object] = [
            SecretUsageServicer(SecretUsage(db, watch, access.hosts)),
            *self._containers.servicers,
            *self._stacks.servicers,
            services,
            GridUsageServicer(GridUsages(db, watch)),
            AssignmentServicer(self._assignments),
            EndpointServicer(self._endpoints),
            LogIngestServicer(LogIngest(db, nodes)),
        ]

    def supervise(self) -> None:
        """Add the background work without which requests and agents would not be answered."""
        shared, supervisor = self._shared, self._shared.supervisor
        supervisor.add("introspection", shared.introspection.watch)
        self._containers.supervise(supervisor)
        self._stacks.supervise(supervisor)
        supervisor.add("deploy_wakes", self._deploy_wakes.run)
        supervisor.add("assignments", self._assignments.run)
        supervisor.add("endpoints", self._endpoints.run)
        handlers = {audit.TOPIC: AuditDelivery(shared.channels.to("auth")).deliver}
        supervisor.add("outbox", partial(tables.outbox.relay, shared.db, shared.listener, handlers))

    async def leave(self) -> None:
        """Let nodes be found on other replicas."""
        await self._containers.commands.leave()

    async def close(self) -> None:
        """Close what was opened for requests."""
        await self._containers.close()


def migrate(settings: Settings | None = None) -> None:
    """Bring the schema up to date and make the partitions of the next days. Idempotent."""
    chosen = settings or PROGRAM.configure()
    PROGRAM.migrate(chosen)
    asyncio.run(_prepare_partitions(chosen))


async def _prepare_partitions(settings: Settings) -> None:
    db = Database(settings.database_url, pool_size=1)
    try:
        await PARTITIONS.prepare(db)
    finally:
        await db.close()


async def _build_for_role(settings: Settings) -> Application:
    """As `build`; for `both`, the loops run in a process beside this one, where they cannot delay a request; it is
    started again when it ends, and ends with this one."""
    if settings.role != "both":
        return await build(settings)
    app = await build(settings.model_copy(update={"role": "api"}))
    app.supervisor.add("engine", partial(child.run, [sys.executable, "-m", __package__, BESIDE]))
    return app


def run_engine_beside() -> None:
    """The engine of a process with the role `both`, which ends when that does."""
    # Where cores are scarce, requests come first; an engine still gets a quarter of one.
    os.nice(_NICE)
    given = Settings()  # type: ignore[call-arg]  # The environment fills it.
    own = {"listen_address": "127.0.0.1:0", "metrics_address": given.engine_metrics_address, "health_address": ""}
    changes = {"role": "engine", **own}
    settings = given.model_copy(update=changes)
    logs.configure(f"{_NAME} engine", settings.log_level)

    async def build_child() -> Application:
        app = await build(settings)
        app.supervisor.add("parent", child.end_with_parent)
        return app

    server.run(settings, build_child)


PROGRAM = Program(_NAME, Settings, _build_for_role, _MIGRATIONS, tables.metadata)
