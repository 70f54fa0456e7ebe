"""Composition root of grid_svc: the one place that makes real things and passes them down."""

import asyncio
import time
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from services.clients import audit, grid_events, introspection
from services.grid_svc.clients import counts, memberships
from services.grid_svc.clients.statsd import Statsd
from services.grid_svc.clients.targets import Targets
from services.grid_svc.convert.node import part
from services.grid_svc.loops import resource_usage, stale_nodes
from services.grid_svc.loops.node_liveness import NodeLiveness
from services.grid_svc.loops.peer_sync import PeerSync
from services.grid_svc.loops.session_sync import SessionSync
from services.grid_svc.servicers.grid_joins import GridJoinServicer
from services.grid_svc.servicers.grids import GridServicer
from services.grid_svc.servicers.legacy_nodes import LegacyNodeServicer
from services.grid_svc.servicers.metrics import MetricsServicer
from services.grid_svc.servicers.node_keys import NodeKeyServicer
from services.grid_svc.servicers.node_sessions import NodeSessionServicer
from services.grid_svc.servicers.node_tokens import NodeTokenServicer
from services.grid_svc.servicers.nodes import NodeServicer
from services.grid_svc.servicers.watch import GridWatchServicer
from services.grid_svc.settings import Settings
from services.grid_svc.store import channels, tables
from services.grid_svc.usecases.destinations import Destinations
from services.grid_svc.usecases.grid_joins import GridJoins
from services.grid_svc.usecases.grid_reads import GridReads
from services.grid_svc.usecases.grids import Grids
from services.grid_svc.usecases.join_tokens import JoinTokens
from services.grid_svc.usecases.legacy_nodes import LegacyNodes
from services.grid_svc.usecases.live_sessions import LiveSessions
from services.grid_svc.usecases.metrics import Metrics
from services.grid_svc.usecases.network_reports import NetworkReports
from services.grid_svc.usecases.node_keys import NodeKeys
from services.grid_svc.usecases.node_reads import NodeReads
from services.grid_svc.usecases.node_sessions import NodeSessions, SessionTerms
from services.grid_svc.usecases.node_tokens import NodeTokens
from services.grid_svc.usecases.nodes import Nodes
from services.grid_svc.usecases.peers import Peers
from services.grid_svc.usecases.samples import Samples
from services.grid_svc.usecases.watch import Watches
from services.kernel import partitions, postgres
from services.kernel.addresses import parse
from services.kernel.audit import TOPIC as AUDIT
from services.kernel.authn import Authenticator
from services.kernel.client import Channels
from services.kernel.db import Database
from services.kernel.entry import Program
from services.kernel.listen import Listener
from services.kernel.loops import Supervisor
from services.kernel.schema import Migrations
from services.kernel.server import Application
from services.kernel.version import VERSION
from services.kernel.watch import Watch

_NAME = "grid_svc"
_MIGRATIONS = Path(__file__).parent / "migrations"
_ENDS_SECONDS = 1.0
# For what a transaction wrote that began before all tokens were sealed.
_SEALING_SECONDS = 300.0


def targets(settings: Settings, allowed: str) -> Targets:
    """Where metrics or logs may go."""
    services = (settings.auth_address, settings.grid_address, settings.deploy_address, settings.vault_address)
    own = {host for addresses in services for host, _ in parse(addresses)}
    own.update(host for host, _ in postgres.addresses(settings.database_url) or [("localhost", 0)])
    return Targets(filter(None, (text.strip() for text in allowed.split(","))), own)


async def build(settings: Settings) -> Application:
    """Everything grid_svc is made of; nothing runs yet."""
    db = Database(settings.database_url, pool_size=settings.database_pool_size)
    listener = Listener(settings.database_url, [channels.GRIDS, channels.NODES, channels.NODE_STATS])
    others = Channels(settings, _NAME)
    auth, deploy = others.to("auth"), others.to("deploy")
    callers = introspection.Introspection(auth)
    live = LiveSessions(time.monotonic)
    samples = Samples(time.monotonic)
    metrics_targets = targets(settings, settings.statsd_allowed)
    statsd = Statsd(metrics_targets)
    peers = Peers(db)
    sync = SessionSync(db, listener, live)
    liveness = NodeLiveness(db, settings.reconnect_grace_seconds, settings.rhythm, time.monotonic)
    handlers = {
        AUDIT: audit.AuditDelivery(auth).deliver,
        grid_events.TOPIC: grid_events.GridEventDelivery(deploy).deliver,
        memberships.TOPIC: memberships.MembershipDelivery(auth).deliver,
    }

    supervisor = Supervisor()
    supervisor.add("listener", listener.run)
    supervisor.add("introspection", callers.watch)
    supervisor.add("outbox", partial(tables.outbox.relay, db, handlers))
    supervisor.add("session_sync", sync.follow)
    supervisor.add("peer_sync", PeerSync(listener, peers).follow)
    supervisor.every("sightings", settings.last_seen_seconds, sync.write_sightings)
    supervisor.every("session_ends", _ENDS_SECONDS, sync.write_ends, wake=live.ended)
    supervisor.every("node_liveness", settings.liveness_seconds, liveness.turn)
    writer = resource_usage.SampleWriter(db, samples, statsd)
    supervisor.every("samples", settings.sample_seconds, writer.turn)
    keep = partial(resource_usage.keep_samples, db, settings.sample_retention_days)
    supervisor.every("sample_retention", partitions.PERIOD_SECONDS, keep)
    usage = counts.Usage(deploy, settings.count_deadline_seconds)
    stale = stale_nodes.StaleNodes(db, usage, settings.stale_node_hours)
    supervisor.every("stale_nodes", stale_nodes.PERIOD_SECONDS, stale.turn)

    terms = SessionTerms(
        VERSION,
        settings.rhythm,
        settings.token_refresh_seconds,
        settings.join_concurrency,
    )
    join_tokens = JoinTokens(settings.keyring())
    supervisor.every("join_tokens", _SEALING_SECONDS, partial(join_tokens.seal_the_rest, db))
    held = counts.Counts(auth, deploy)
    supervisor.add("members", held.members.run)
    supervisor.add("usage", held.usage.run)
    destinations = Destinations(metrics_targets, targets(settings, settings.log_targets_allowed))
    reads = GridReads(db)
    grids = Grids(db, join_tokens, held, usage, destinations, reads=reads)
    joins = GridJoins(db, join_tokens, settings.master_url, settings.master_ca())
    reports = NetworkReports(db)
    sessions = NodeSessions(
        db, live, others.tokens, grids=reads, samples=samples, peers=peers, reports=reports, terms=terms
    )

    async def ready() -> None:
        async with db.read() as tx:
            await tx.execute(sa.select(tables.nodes.c.id).limit(1))

    async def close() -> None:
        await asyncio.gather(others.close(), statsd.close())
        await db.close()

    servicers = [
        GridServicer(grids),
        GridJoinServicer(joins),
        NodeServicer(Nodes(db, join_tokens, NodeReads(db, reads, join_tokens, part))),
        NodeTokenServicer(NodeTokens(db, join_tokens)),
        NodeKeyServicer(NodeKeys(db)),
        LegacyNodeServicer(LegacyNodes(db)),
        MetricsServicer(Metrics(db)),
        NodeSessionServicer(sessions),
        GridWatchServicer(Watches(db, Watch(db, listener, settings.watch_resync_seconds))),
    ]
    return Application(
        authenticator=Authenticator(others.tokens, callers.resolve, servicers, callers.on_change),
        servicers=servicers,
        supervisor=supervisor,
        schema=partial(Migrations(_MIGRATIONS, str(tables.metadata.schema)).check, db),
        ready=ready,
        close=close,
    )


async def seal_tokens(settings: Settings) -> int:
    """Encrypt all join tokens, from now on and for ever, with the current key; the exit status is 0 when all are."""
    db = Database(settings.database_url, pool_size=1)
    try:
        return min(1, await JoinTokens(settings.keyring()).seal_all(db))
    finally:
        await db.close()


PROGRAM = Program(_NAME, Settings, build, _MIGRATIONS, tables.metadata)
