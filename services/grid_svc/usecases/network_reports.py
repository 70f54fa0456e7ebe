"""Keeps what agents tell of their network, and tells people when something is wrong with it."""

from services.clients import grid_events
from services.clients.grid_events import GridEvent
from services.grid_svc.domain.network_report import NetworkReport
from services.grid_svc.store import network_reports as store
from services.grid_svc.usecases.live_sessions import LiveSession
from services.kernel.db import Database
from services.kernel.outbox import Outbox


class NetworkReports:
    """One report per node, the newest."""

    def __init__(self, db: Database, outbox: Outbox) -> None:
        self._db = db
        self._outbox = outbox

    async def store(self, live: LiveSession, report: NetworkReport) -> None:
        """Store a report of a session, and tell of each problem that is new and when there are none any more."""
        async with self._db.transaction() as tx:
            before = await store.store(tx, live.session, report)
            if before is None or before.problems == report.problems:
                return
            for problem in report.problems:
                if problem not in before.problems:
                    text = f"network of node {live.name}: {problem}"
                    event = GridEvent(live.session.grid_id, "node:network", text, grid_events.WARN)
                    await grid_events.record(tx, self._outbox, event)
            if not report.problems:
                text = f"network of node {live.name}: all is well again"
                await grid_events.record(tx, self._outbox, GridEvent(live.session.grid_id, "node:network", text))
