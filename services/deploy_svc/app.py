"""Composition root of deploy_svc: a process of one role, or of both."""

import asyncio
import os
import sys
from contextlib import suppress
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
from services.deploy_svc.clients.command_relay import CommandRelay
from services.deploy_svc.clients.vault_directory import VaultDirectory
from services.deploy_svc.convert.services import around, part
from services.deploy_svc.convert.stacks import part as stack_part
from services.deploy_svc.loops import (
    container_mirror,
    deploy_history,
    grid_cleanup,
    log_quota,
    log_segments,
    volume_removals,
)
from services.deploy_svc.loops.container_mirror import ContainerMirror
from services.deploy_svc.loops.grid_cleanup import GridCleanup
from services.deploy_svc.loops.log_quota import LogQuota
from services.deploy_svc.loops.log_retention import LogRetention
from services.deploy_svc.loops.log_segments import LogSegments
from services.deploy_svc.loops.reconcile import ReconcileLoop
from services.deploy_svc.loops.rollout import RolloutLoop
from services.deploy_svc.loops.stacks import StackLoop
from services.deploy_svc.loops.volume_removals import VolumeRemovals
from services.deploy_svc.own_address import own_address
from services.deploy_svc.servicers.assignments import AssignmentServicer
from services.deploy_svc.servicers.container_execs import ContainerExecServicer
from services.deploy_svc.servicers.container_logs import ContainerLogServicer
from services.deploy_svc.servicers.container_reports import ContainerReportServicer
from services.deploy_svc.servicers.container_stats import ContainerStatsServicer, StatsIngestServicer
from services.deploy_svc.servicers.containers import ContainerServicer
from services.deploy_svc.servicers.endpoints import EndpointServicer
from services.deploy_svc.servicers.event_logs import EventIngestServicer, EventLogServicer
from services.deploy_svc.servicers.grid_configs import GridConfigServicer
from services.deploy_svc.servicers.grid_events import GridEventServicer
from services.deploy_svc.servicers.grid_usage import GridUsageServicer
from services.deploy_svc.servicers.instances import InstanceServicer
from services.deploy_svc.servicers.log_ingest import LogIngestServicer
from services.deploy_svc.servicers.node_commands import CommandRelayServicer, NodeCommandServicer
from services.deploy_svc.servicers.secret_usage import SecretUsageServicer
from services.deploy_svc.servicers.services import ServiceServicer
from services.deploy_svc.servicers.stack_conversions import StackConversionServicer
from services.deploy_svc.servicers.stacks import StackServicer
from services.deploy_svc.servicers.volumes import VolumeServicer
from services.deploy_svc.settings import Settings
from services.deploy_svc.store import command_routes, event_tables, grid_usage, secret_usage, stack_tables, tables
from services.deploy_svc.store.partitions import PARTITIONS
from services.deploy_svc.usecases.assignment_feed import VALUES_SECONDS
from services.deploy_svc.usecases.assignments import Assignments
from services.deploy_svc.usecases.container_commands import ContainerCommands
from services.deploy_svc.usecases.container_logs import ContainerLogs
from services.deploy_svc.usecases.container_paths import ContainerAccess
from services.deploy_svc.usecases.container_reports import ContainerReports
from services.deploy_svc.usecases.container_stats import ContainerStats, StatsIngest
from services.deploy_svc.usecases.containers import Containers
from services.deploy_svc.usecases.dry_runs import DryRuns
from services.deploy_svc.usecases.endpoints import Endpoints
from services.deploy_svc.usecases.event_logs import EventIngest, EventLogs
from services.deploy_svc.usecases.grid_configs import GridConfigs
from services.deploy_svc.usecases.grid_events import GridEvents
from services.deploy_svc.usecases.grid_quotas import GridQuotas
from services.deploy_svc.usecases.grid_usage import GridUsages
from services.deploy_svc.usecases.host_access import HostAccess
from services.deploy_svc.usecases.idempotency import Idempotency
from services.deploy_svc.usecases.instances import Instances
from services.deploy_svc.usecases.log_ingest import LogIngest
from services.deploy_svc.usecases.node_commands import NodeCommands
from services.deploy_svc.usecases.parts import Parts
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
from services.deploy_svc.usecases.stack_conversions import StackConversions
from services.deploy_svc.usecases.stack_deploys import StackDeploys
from services.deploy_svc.usecases.stack_plans import StackPlans
from services.deploy_svc.usecases.stack_reads import StackReads
from services.deploy_svc.usecases.stack_revisions import StackRevisions
from services.deploy_svc.usecases.stacks import Stacks
from services.deploy_svc.usecases.volumes import Volumes
from services.kernel import audit, child, logs, partitions, server
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
_EXPIRE_SECONDS = 3600.0
_API_CHANNELS = (
    tables.NODE_CHANGED,
    tables.ENDPOINT_CHANGED,
    tables.DEPLOY_PROGRESS,
    tables.LOGS_ARRIVED,
    event_tables.EVENTS_ARRIVED,
    grid_usage.CHANNEL,
    secret_usage.VAULT_USERS,
)
_ENGINE_CHANNELS = (tables.SERVICE_CHANGED, stack_tables.STACK_CHANGED, tables.DEPLOY_ENDED)


class Shared:
    """What both roles need: Postgres, the other services, and local copies of grids and nodes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.channels = Channels(settings, _NAME)
        self.db = Database(settings.database_url, pool_size=settings.database_pool_size)
        for_api = _API_CHANNELS if settings.role != "engine" else ()
        for_engine = _ENGINE_CHANNELS if settings.role != "api" else ()
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
        await self.channels.close()
        await self.db.close()


async def build(settings: Settings) -> Application:
    """Make everything that the role needs, and connect it. With `both`, the loops share the event loop with requests,
    as in no process that serves."""
    shared = Shared(settings)
    api = Api(shared) if settings.role != "engine" else None
    servicers = _servicers(shared, api) if api else []
    if settings.role != "api":
        _supervise_engine(shared)

    async def close() -> None:
        if api:
            await api.relay.close()
        await shared.close()

    introspection = shared.introspection
    return Application(
        authenticator=Authenticator(shared.channels.tokens, introspection.resolve, servicers, introspection.on_change),
        servicers=servicers,
        supervisor=shared.supervisor,
        schema=partial(Migrations(_MIGRATIONS, str(tables.metadata.schema)).check, shared.db),
        ready=shared.ready,
        close=close,
        leave=api.commands.leave if api else None,
    )


class Api:
    """What several nouns need to answer requests and agents."""

    def __init__(self, shared: Shared) -> None:
        settings, db, tokens, supervisor = shared.settings, shared.db, shared.channels.tokens, shared.supervisor
        vault = shared.channels.to("vault")
        self.secrets, self.certificates = SecretResolver(vault), CertificateResolver(vault)
        self.registries = RegistryResolver(vault)
        self.access = Access(db, shared.grids, HostAccess(settings.open_host_paths()))
        names = VaultDirectory(db, self.secrets, self.certificates)
        self.parts = Parts(db, shared.grids, names, self.access, GridQuotas(settings))
        self.reads = ServiceReads(db, part, around)
        self.dry_runs = DryRuns(shared.patience.views, shared.patience.limits)
        self.once = Idempotency(db, settings, timedelta(hours=settings.idempotency_hours))
        self.relay = CommandRelay(tokens, _NAME, settings.callee("deploy-svc"))
        self.commands = NodeCommands(db, shared.nodes, own_address(settings), self.relay)
        supervisor.every("command_routes", command_routes.RENEW_SECONDS, self.commands.renew)
        self.watch = Watch(db, shared.listener, _RESYNC_SECONDS)
        self.deploy_wakes = Wakes(shared.listener, tables.DEPLOY_PROGRESS)
        supervisor.add("introspection", shared.introspection.watch)
        supervisor.add("deploy_wakes", self.deploy_wakes.run)
        supervisor.every("idempotency", _EXPIRE_SECONDS, self.once.expire)
        handlers = {audit.TOPIC: AuditDelivery(shared.channels.to("auth")).deliver}
        supervisor.add("outbox", partial(tables.outbox.relay, db, handlers))
        supervisor.add("new_services", partial(grid_usage.NEW_SERVICES.run, db))


def _servicers(shared: Shared, api: Api) -> list[object]:
    return [*_services(shared, api), *_stacks(shared, api), *_containers(shared, api), *_nodes(shared, api)]


def _services(shared: Shared, api: Api) -> list[object]:
    db, parts = shared.db, api.parts
    return [
        ServiceServicer(
            Services(parts, api.reads),
            ServiceDeploys(parts, api.deploy_wakes),
            ServiceEnvs(parts),
            ServicePlans(parts, api.dry_runs),
            ServiceRevisions(parts),
            rebalances=Rebalances(parts, api.dry_runs),
            once=api.once,
        ),
        InstanceServicer(Instances(db, shared.nodes, api.access)),
        SecretUsageServicer(SecretUsage(db, api.watch, api.access.hosts)),
        GridUsageServicer(GridUsages(db, api.watch)),
    ]


def _stacks(shared: Shared, api: Api) -> list[object]:
    parts = api.parts
    removals = VolumeRemovals(shared.db, shared.nodes, api.commands)
    shared.supervisor.every("volume_removals", volume_removals.PERIOD_SECONDS, removals.turn, removals.wake)
    deploys = StackDeploys(parts, api.deploy_wakes)
    stacks = StackServicer(
        Stacks(parts, StackReads(shared.db, api.reads, stack_part)),
        deploys,
        StackPlans(parts, api.dry_runs),
        StackRevisions(parts, deploys),
        api.once,
    )
    return [
        stacks,
        StackConversionServicer(StackConversions(parts)),
        VolumeServicer(Volumes(parts, removals.wake), api.once),
        GridConfigServicer(GridConfigs(parts), api.once),
    ]


def _containers(shared: Shared, api: Api) -> list[object]:
    db, grids, nodes, access = shared.db, shared.grids, shared.nodes, api.access
    log_wakes = Wakes(shared.listener, tables.LOGS_ARRIVED)
    event_wakes = Wakes(shared.listener, event_tables.EVENTS_ARRIVED)
    shared.supervisor.add("log_wakes", log_wakes.run)
    shared.supervisor.add("event_wakes", event_wakes.run)
    paths = ContainerAccess(db, grids, nodes)
    asked = ContainerCommands(db, paths, api.commands, api.access.hosts)
    return [
        ContainerServicer(Containers(db, grids, nodes, access, paths), asked),
        ContainerExecServicer(asked),
        ContainerLogServicer(ContainerLogs(db, grids, nodes, (access, paths), log_wakes)),
        ContainerStatsServicer(ContainerStats(db, grids, access, paths)),
        EventLogServicer(EventLogs(db, grids, nodes, access, event_wakes)),
        GridEventServicer(GridEvents(db)),
    ]


def _nodes(shared: Shared, api: Api) -> list[object]:
    """What agents call, and replicas that look for the one to which a node is attached."""
    settings, db, listener, nodes = shared.settings, shared.db, shared.listener, shared.nodes
    values = PodValues(db, api.secrets, api.certificates, api.registries)
    assignments = Assignments(db, listener, values, nodes, VALUES_SECONDS * settings.grace_factor)
    endpoints = Endpoints(db, listener, nodes)
    shared.supervisor.add("assignments", assignments.run)
    shared.supervisor.add("endpoints", endpoints.run)
    return [
        AssignmentServicer(assignments),
        EndpointServicer(endpoints),
        ContainerReportServicer(ContainerReports(db, nodes)),
        LogIngestServicer(LogIngest(db, nodes)),
        EventIngestServicer(EventIngest(db, nodes)),
        StatsIngestServicer(StatsIngest(db, nodes)),
        NodeCommandServicer(api.commands),
        CommandRelayServicer(api.commands),
    ]


def _supervise_engine(shared: Shared) -> None:
    """The loops that carry out deploys and keep services running. Any number of engines work on one database: each
    claims what it works on."""
    settings, db, grids, nodes, patience = shared.settings, shared.db, shared.grids, shared.nodes, shared.patience
    reconcile = ReconcileLoop(db, nodes, grids, patience, period=settings.reconcile_seconds)
    mirror = ContainerMirror(db, nodes)
    retention = LogRetention(db, settings.log_retention_days)
    quota = LogQuota(db, settings.log_quota_bytes, settings.log_total_bytes)
    cleanup = GridCleanup(db, grids)
    supervisor = shared.supervisor
    supervisor.add("rollout", RolloutLoop(db, shared.listener, nodes, grids, patience).run)
    supervisor.add("stacks", StackLoop(db, shared.listener, nodes).run)
    supervisor.every("reconcile", reconcile.poll_seconds, reconcile.turn, reconcile.wake)
    supervisor.every("container_mirror", container_mirror.PERIOD_SECONDS, mirror.turn, mirror.wake)
    supervisor.every("deploy_history", deploy_history.PERIOD_SECONDS, partial(deploy_history.drop_old_deploys, db))
    supervisor.every("log_retention", partitions.PERIOD_SECONDS, retention.turn)
    supervisor.every("log_quota", log_quota.PERIOD_SECONDS, quota.turn)
    supervisor.every("log_segments", log_segments.PERIOD_SECONDS, LogSegments(db).turn)
    supervisor.every("grid_cleanup", grid_cleanup.PERIOD_SECONDS, cleanup.turn, cleanup.wake)


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


def run_engine(*, beside: bool = False) -> None:
    """An engine in a process of its own on the machine of an api, which answers only for its health and metrics; one
    `beside` a process with the role `both` ends when that does."""
    # Where cores are scarce, requests come first; an engine still gets a quarter of one. Linux shares them by session
    # first, where it has this file and this process a session of its own.
    os.nice(_NICE)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(_NICE))
    given = Settings()  # type: ignore[call-arg]  # The environment fills it.
    own = {"listen_address": "127.0.0.1:0", "metrics_address": given.engine_metrics_address, "health_address": ""}
    changes = {"role": "engine", **own}
    settings = given.model_copy(update=changes)
    logs.configure(f"{_NAME} engine", settings.log_level)

    async def build_child() -> Application:
        app = await build(settings)
        if beside:
            app.supervisor.add("parent", child.end_with_parent)
        return app

    server.run(settings, build_child)


PROGRAM = Program(_NAME, Settings, _build_for_role, _MIGRATIONS, tables.metadata)
