"""How fast one node may have things stored: who is faster waits, and with it only its own streams."""

import asyncio
import time
from collections.abc import Callable

# Nodes that are remembered; more than any suite has, and what is forgotten is a full stock.
_MOST_NODES = 20_000
_LONGEST_WAIT_SECONDS = 10.0


class NodePace:
    """So many items per second in the long run, and a stock of them for a moment; per node and replica."""

    def __init__(self, per_second: float, stock: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._stock = stock
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def debt(self, node_id: str, items: int) -> float:
        """Takes the items, and returns for how many seconds the node has to wait for them."""
        now = self._clock()
        at, left = self._left.pop(node_id, (now, self._stock))
        left = min(self._stock, left + (now - at) * self._per_second) - items
        # Whoever sends more than can ever be waited for starts from there, not from farther below.
        left = max(left, -_LONGEST_WAIT_SECONDS * self._per_second)
        self._left[node_id] = (now, left)
        if len(self._left) > _MOST_NODES:
            del self._left[next(iter(self._left))]
        return max(0.0, -left / self._per_second)

    async def spend(self, node_id: str, items: int) -> None:
        """Returns when the node may have that many more items stored, 10 s later at the most."""
        if (wait := self.debt(node_id, items)) > 0:
            await asyncio.sleep(wait)
