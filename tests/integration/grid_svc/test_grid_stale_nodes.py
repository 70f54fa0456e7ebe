from services.grid_svc.loops.stale_nodes import StaleNodes
from services.grid_svc.store import tables
from services.kernel.db import Database
from services.kernel.outbox import Outbox
from tests.integration.grid_svc.caller import Caller
from tests.integration.grid_svc.stand_ins import Neighbours
from tests.support.eventually import eventually


async def test_only_ephemeral_nodes_unseen_for_hours_are_removed(
    admin: Caller, token: str, db: Database, grid_neighbours: Neighbours
) -> None:
    """`alpha` has three initial members; numbers from 4 on may go."""
    nodes = [
        (1, "initial", ["ephemeral"], False, 7.0),
        (4, "plain", ["ephemeral"], False, 7.0),
        (5, "valued", ["a=b", "ephemeral=yes"], False, 7.0),
        (6, "lasting", ["a=b", "ephemerals"], False, 7.0),
        (7, "recent", ["ephemeral"], False, 5.9),
        (8, "connected", ["ephemeral"], True, 7.0),
        (9, "never-seen", ["ephemeral"], False, None),
    ]
    async with db.transaction() as tx:
        for number, name, labels, connected, hours in nodes:
            await tx.exec_driver_sql(
                "insert into grid.nodes (id, grid_id, node_id, name, node_number, labels, connected, last_seen_at) "
                "select cast($1 as text), id, $1, $2, $3, $4, $5, now() - make_interval(secs => $6) from grid.grids",
                (f"{number:024}", name, number, labels, connected, None if hours is None else hours * 3600),
            )
    for _ in range(2):
        await StaleNodes(db, Outbox(tables.outbox), 6).turn()
    left = {node["name"] for node in (await admin.nodes("alpha")).body["nodes"]}
    assert left == {"initial", "lasting", "recent", "connected", "never-seen"}

    async def audited() -> bool:
        removed = [name for _, event, name in grid_neighbours.audit.seen() if event == "remove node"]
        return sorted(removed) == ["plain", "valued"]

    await eventually(audited)
