"""Keeps what agents are told about their peers in step with the database."""

import asyncio

from services.grid_svc.store.channels import GRIDS, NODES
from services.grid_svc.usecases.peers import Peers
from services.kernel.listen import Listener, drain

_POLL_SECONDS = 30.0
# Many nodes that come or go at once are one read and one message, not hundreds.
_GATHER_SECONDS = 0.1


class PeerSync:
    """One loop."""

    def __init__(self, listener: Listener, peers: Peers) -> None:
        self._listener = listener
        self._peers = peers

    async def follow(self) -> None:
        """Pass changes on as they are notified, and look at everything now and then."""
        async with self._listener.subscribe(GRIDS, NODES) as wake:
            while True:
                try:
                    async with asyncio.timeout(_POLL_SECONDS):
                        first = await wake.get()
                except TimeoutError:
                    first = None
                await self._peers.refresh(drain(wake, first))
                await asyncio.sleep(_GATHER_SECONDS)
