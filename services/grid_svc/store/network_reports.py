"""What agents tell of their network."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from services.grid_svc.domain.network_report import NetworkReport, PeerTraffic
from services.grid_svc.store.tables import network_reports, nodes
from services.kernel.db import AnyTx, Tx, run
from services.kernel.principal import NodeSession
from services.kernel.statements import Statement
from services.kernel.storable import to_json


def _store() -> Statement:
    present = (
        sa.select(nodes.c.id)
        .where(
            nodes.c.id == sa.bindparam("node"),
            nodes.c.session == sa.bindparam("number", type_=sa.Integer),
            nodes.c.connected,
        )
        .with_for_update(read=True, key_share=True)
        .cte("present")
    )
    told = sa.select(present.c.id, sa.bindparam("told", type_=JSONB), sa.func.now())
    added = insert(network_reports).from_select(["node_id", "report", "at"], told)
    news = {"report": added.excluded.report, "at": added.excluded.at}
    stored = added.on_conflict_do_update(index_elements=["node_id"], set_=news).cte("stored")
    # As of before the statement.
    before = sa.select(sa.cast(network_reports.c.report, sa.Text), network_reports.c.at)
    joined = present.outerjoin(network_reports, network_reports.c.node_id == present.c.id)
    return Statement(before.select_from(joined).add_cte(stored))


_STORE = _store()


async def store(tx: AnyTx, session: NodeSession, report: NetworkReport) -> NetworkReport | None:
    """Replace the report of a node and return the one before, which is unknown when there was none; None, and nothing
    is stored, when the session is not the present one of its node."""
    given = {"node": session.node_id, "number": session.number, "told": to_json(_stored(report))}
    for before, at in await run(tx, _STORE, **given):
        return NetworkReport() if before is None else _report(json.loads(before), at)
    return None


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
