"""Delivers what the node observes: the newest status per instance, kept until the master has stored it."""

import asyncio

from kontena.deploy.v1 import assignment_pb2 as pb

_GATHER_SECONDS = 0.02
_REFRESH_SECONDS = 60.0


class Reporter:
    """Statuses of one instance are put in order; only the newest one is delivered, unless it is what the master
    stored last. One report is under way at a time, what comes meanwhile goes into the next."""

    def __init__(self) -> None:
        self._latest: dict[str, pb.InstanceStatus] = {}
        self._stored: dict[str, pb.InstanceStatus] = {}
        self._under_way: tuple[int, dict[str, pb.InstanceStatus]] | None = None
        self._sequence = 0
        self._pending = asyncio.Event()
        self._delivered = asyncio.Event()

    def put(self, status: pb.InstanceStatus) -> None:
        """Report this status unless it is the same as the last."""
        if self._latest.get(status.instance_id) != status:
            self._latest[status.instance_id] = status
            self._pending.set()

    def forget(self, instance_id: str) -> None:
        """The instance is no longer this node's."""
        self._latest.pop(instance_id, None)
        self._stored.pop(instance_id, None)

    def start_over(self) -> None:
        """A new stream: nothing is taken for stored, so that a master with an older memory learns everything."""
        self._stored.clear()
        self._under_way = None
        self._pending.set()

    async def next(self, refresh: float = _REFRESH_SECONDS) -> pb.StatusReport:
        """The next report to send, once there is something new; after `refresh` quiet seconds everything, be it
        nothing: the confirmation proves that the master still listens."""
        quiet = False
        while True:
            try:
                async with asyncio.timeout(refresh):
                    await self._pending.wait()
                    await asyncio.sleep(_GATHER_SECONDS)
            except TimeoutError:
                self._stored.clear()
                quiet = True
            self._pending.clear()
            news = {key: status for key, status in self._latest.items() if self._stored.get(key) != status}
            if news or quiet:
                return self._begin(news)

    def _begin(self, news: dict[str, pb.InstanceStatus]) -> pb.StatusReport:
        self._sequence += 1
        self._under_way = (self._sequence, news)
        self._delivered.clear()
        return pb.StatusReport(sequence=self._sequence, statuses=news.values())

    def acknowledge(self, sequence: int) -> None:
        """The master has stored all reports up to `sequence`."""
        if self._under_way is None or sequence < self._under_way[0]:
            return
        _, stored = self._under_way
        self._under_way = None
        self._stored.update({key: status for key, status in stored.items() if key in self._latest})
        self._delivered.set()

    async def delivered(self) -> None:
        """Returns when the report under way is stored."""
        await self._delivered.wait()
