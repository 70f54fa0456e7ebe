"""The time for which a node whose stream broke counts as connected, which no test waits for."""

import sqlalchemy as sa

from services.grid_svc.domain.heartbeat import Rhythm
from services.grid_svc.loops.node_liveness import NodeLiveness
from services.kernel.db import Database

# Much longer than any test needs to come back in time.
SECONDS = 60.0
_RHYTHM = Rhythm(seconds=200.0, per_second=50.0, writing=0.0)


async def over(db: Database) -> None:
    """It is over for each node whose stream is known to be broken by now, and a replica that watched for long looks."""
    async with db.transaction() as tx:
        await tx.execute(
            sa.text("update grid.nodes set lost_at = lost_at - interval '1 hour' where lost_at is not null")
        )
    liveness = NodeLiveness(db, SECONDS, _RHYTHM, iter([0.0, _RHYTHM.silence(1)]).__next__)
    for _ in range(2):
        await liveness.turn()
