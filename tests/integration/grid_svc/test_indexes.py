"""No query of a request or of a session reads a whole table: each finds its rows with an index."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.grid_svc.domain.metrics import Window
from services.grid_svc.domain.session import Hello, JoinTokens
from services.grid_svc.store import grids, node_sessions, nodes, resource_usage
from services.kernel.db import Database, Tx
from services.kernel.pages import WHOLE
from services.kernel.principal import NodeSession

ID = "0" * 24
KEYED = Hello("A:B", "n", "1", node_key=bytes(32))
HOUR = Window(datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC))

QUERIES: dict[str, Callable[[Tx], Awaitable[Any]]] = {
    "grid by name": lambda tx: grids.find(tx, "alpha"),
    "grid by join token": lambda tx: grids.find_by_token(tx, "t"),
    "grid of a join": lambda tx: grids.lock_by_token(tx, "t"),
    "grids of a member": lambda tx: grids.with_node_counts(tx, [ID], WHOLE),
    "nodes of a grid": lambda tx: nodes.of_grids(tx, [ID]),
    "number of nodes": lambda tx: nodes.count(tx, ID),
    "numbers and names in use": lambda tx: nodes.occupied(tx, ID, "n"),
    "peers of a node": lambda tx: nodes.peers(tx, ID),
    "node by name": lambda tx: nodes.find(tx, ID, "n"),
    "node by engine id": lambda tx: nodes.find(tx, ID, "A:B"),
    "node of a join": lambda tx: nodes.find_by_engine_id(tx, ID, "A:B"),
    "node of a key": lambda tx: node_sessions.find_by_key(tx, KEYED),
    "return with a key": lambda tx: node_sessions.reopen(tx, JoinTokens("t"), KEYED, None),
    "node by its token": lambda tx: node_sessions.find_by_token(tx, "t"),
    "return with a grid token": lambda tx: node_sessions.reopen(tx, JoinTokens("t"), Hello("A:B", "n", "1"), None),
    "return with a node token": lambda tx: node_sessions.reopen(tx, JoinTokens(node="t"), Hello("A:B", "n", "1"), None),
    "signs of life": lambda tx: node_sessions.touch(tx, [node_sessions.Sighting(NodeSession(ID, ID, 1), 0.0)]),
    "ends": lambda tx: node_sessions.end(tx, [NodeSession(ID, ID, 1)]),
    "metrics of a node": lambda tx: resource_usage.minutes(tx, "node_id", ID, HOUR),
    "metrics of a grid": lambda tx: resource_usage.minutes(tx, "grid_id", ID, HOUR),
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
async def test_rows_are_found_with_an_index(db: Database, query: Callable[[Tx], Awaitable[Any]]) -> None:
    ran: list[tuple[str, Any]] = []

    def record(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        ran.append((statement, parameters))

    async with db.transaction() as tx:
        # The tables of a test are so small that reading them whole is the best plan, unless that is ruled out.
        await tx.execute(sa.text("set local enable_seqscan = off"))
        sa.event.listen(db.engine.sync_engine, "before_cursor_execute", record)
        try:
            await query(tx)
        finally:
            sa.event.remove(db.engine.sync_engine, "before_cursor_execute", record)
        [(statement, parameters)] = ran
        plan = "\n".join((await tx.exec_driver_sql(f"explain {statement}", parameters)).scalars())
    assert "Index" in plan, plan
    assert "Seq Scan" not in plan, plan
