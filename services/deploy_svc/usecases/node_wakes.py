"""Wakes the sessions of a node when its assignments, its session or its record changed."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from services.clients.nodes import Node, NodeDirectory
from services.deploy_svc.store.tables import NODE_CHANGED
from services.kernel.informer import Change, Delete, Synced, Upsert
from services.kernel.listen import Listener, drain


class NodeWakes:
    """One subscription per process, however many nodes are attached. `run` must be supervised."""

    def __init__(self, listener: Listener, nodes: NodeDirectory) -> None:
        self._listener = listener
        self._events: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        nodes.informer.on_change(self._observe)

    @contextmanager
    def watch(self, node_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever something about the node may have changed."""
        event = asyncio.Event()
        self._events[node_id].add(event)
        try:
            yield event
        finally:
            self._events[node_id].discard(event)
            if not self._events[node_id]:
                del self._events[node_id]

    async def run(self) -> None:
        """Pass notifications on until cancelled."""
        async with self._listener.subscribe(NODE_CHANGED) as wake:
            self._wake_all()
            while True:
                payloads = drain(wake, await wake.get())
                if None in payloads:
                    self._wake_all()
                for node_id in payloads:
                    self._wake(node_id or "")

    def _observe(self, change: Change[Node]) -> None:
        match change:
            case Upsert(key, _):
                self._wake(key)
            case Delete(key):
                self._wake(key)
            case Synced():
                pass

    def _wake(self, node_id: str) -> None:
        for event in self._events.get(node_id, ()):
            event.set()

    def _wake_all(self) -> None:
        for events in self._events.values():
            for event in events:
                event.set()
