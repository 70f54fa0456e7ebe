"""Keeps what agents tell of their network, counts it, and tells people when something is wrong with it."""

import prometheus_client

from services.clients import grid_events
from services.clients.grid_events import GridEvent
from services.grid_svc.domain.network_report import NetworkReport, traffic_since
from services.grid_svc.store import network_reports as store
from services.grid_svc.store import tables
from services.grid_svc.usecases.live_sessions import LiveSession
from services.kernel.db import AnyTx, Database

# Per node and not per pair of nodes, of which a grid may have a million: the health of a node has its peers.
_BYTES = prometheus_client.Counter(
    "node_network_bytes_total",
    "Bytes between a node and its peers, as its reports to this replica say.",
    ["grid", "node", "direction"],
)
_DIRECTIONS = ("received", "sent")


class NetworkReports:
    """One report per node, the newest."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._counted: dict[LiveSession, tuple[str, str]] = {}

    async def store(self, live: LiveSession, report: NetworkReport) -> None:
        """Store a report of a session, and tell of each problem that is new and when there are none any more."""
        async with self._db.prepared() as tx:
            before = await store.store(tx, live.session, report)
            if before is not None and before.problems != report.problems:
                await self._tell(tx, live, before, report)
        if before is not None:
            self._count(live, before, report)

    def leave(self, live: LiveSession) -> None:
        """The session is over: what is shown here are the nodes that are here."""
        names = self._counted.pop(live, None)
        if names is not None and names not in self._counted.values():
            for direction in _DIRECTIONS:
                _BYTES.remove(*names, direction)

    def _count(self, live: LiveSession, before: NetworkReport, report: NetworkReport) -> None:
        names = self._counted.setdefault(live, (live.grid, live.name))
        traffic = traffic_since(before, report)
        for direction, size in zip(_DIRECTIONS, (traffic.rx_bytes, traffic.tx_bytes), strict=True):
            _BYTES.labels(*names, direction).inc(size)

    async def _tell(self, tx: AnyTx, live: LiveSession, before: NetworkReport, report: NetworkReport) -> None:
        for problem in report.problems:
            if problem not in before.problems:
                text = f"network of node {live.name}: {problem}"
                event = GridEvent(live.session.grid_id, "node:network", text, grid_events.WARN)
                await grid_events.record(tx, tables.outbox, event)
        if not report.problems:
            text = f"network of node {live.name}: all is well again"
            await grid_events.record(tx, tables.outbox, GridEvent(live.session.grid_id, "node:network", text))
