"""Samples that agents sent and that are not written yet. In memory only; sessions put in, a loop takes out."""

import asyncio
from collections.abc import Callable

from services.grid_svc.domain.resource_usage import ResourceUsage
from services.kernel.principal import NodeSession

# Some minutes of a thousand nodes. What the database cannot take in that time is lost, the oldest first.
_MOST = 5000


class Samples:
    """A bounded buffer; `arrived` is set when there is something in it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._held: list[tuple[NodeSession, ResourceUsage, float]] = []
        self.arrived = asyncio.Event()

    def add(self, session: NodeSession, usage: ResourceUsage) -> None:
        """Keep a sample that was taken now."""
        self._held.append((session, usage, self._clock()))
        del self._held[:-_MOST]
        self.arrived.set()

    def take(self) -> list[tuple[NodeSession, ResourceUsage, float]]:
        """All samples with their ages in seconds, oldest first; the buffer is empty afterwards."""
        now = self._clock()
        held, self._held = self._held, []
        return [(session, usage, now - at) for session, usage, at in held]
