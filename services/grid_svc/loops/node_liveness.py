"""Gives up nodes whose session is over without anybody having said so. Any number of replicas may run it."""

from collections.abc import Callable

from services.grid_svc.domain.heartbeat import Rhythm
from services.grid_svc.store import node_sessions as store
from services.kernel.db import Database


class NodeLiveness:
    """Counts only silence that it could have seen end.

    While the database or all replicas were away nobody could write signs of life, and every node looks late. So a
    rule applies only after this loop ran without a failure for as long as the rule waits.
    """

    def __init__(self, db: Database, grace: float, rhythm: Rhythm, clock: Callable[[], float]) -> None:
        self._db = db
        self._grace = grace
        self._rhythm = rhythm
        self._clock = clock
        self._watching_since: float | None = None

    async def turn(self) -> None:
        since, self._watching_since = self._watching_since, None
        now = self._clock()
        watched = 0.0 if since is None else now - since
        async with self._db.transaction() as tx:
            if watched >= self._grace:
                await store.disconnect_lost(tx, self._grace)
            silence = self._rhythm.silence(await store.count(tx))
            if watched >= silence:
                await store.disconnect_silent(tx, silence)
        self._watching_since = now if since is None else since
