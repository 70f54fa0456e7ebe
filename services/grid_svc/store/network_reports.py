"""What agents tell of their network."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.grid_svc.domain.network_report import NetworkReport, PeerTraffic
from services.grid_svc.store.tables import network_reports, nodes
from services.kernel.db import Tx
from services.kernel.principal import NodeSession


async def store(tx: Tx, session: NodeSession, report: NetworkReport) -> NetworkReport | None:
    """Replace the report of a node and return the one before, which is unknown when there was none; None, and nothing
    is stored, when the session is not the present one of its node."""
    query = sa.select(nodes.c.id).where(
        nodes.c.id == session.node_id, nodes.c.session == session.number, nodes.c.connected
    )
    if (await tx.execute(query.with_for_update(read=True, key_share=True))).first() is None:
        return None
    before = await read(tx, session.node_id)
    values = {"report": _stored(report), "at": sa.func.now()}
    statement = insert(network_reports).values(node_id=session.node_id, **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["node_id"], set_=values))
    return before


async def read(tx: Tx, node_id: str) -> NetworkReport:
    """The newest report of a node."""
    row = (await tx.execute(sa.select(network_reports).where(network_reports.c.node_id == node_id))).first()
    return NetworkReport() if row is None else _report(row.report, row.at)


def _stored(report: NetworkReport) -> dict[str, Any]:
    values = asdict(report)
    del values["at"]
    for peer in values["peers"]:
        at = peer["last_handshake"]
        peer["last_handshake"] = None if at is None else at.isoformat()
    return values


def _report(stored: dict[str, Any], at: datetime) -> NetworkReport:
    peers = tuple(PeerTraffic(**(peer | {"last_handshake": _time(peer["last_handshake"])})) for peer in stored["peers"])
    return NetworkReport(**(stored | {"peers": peers, "problems": tuple(stored["problems"])}), at=at)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
