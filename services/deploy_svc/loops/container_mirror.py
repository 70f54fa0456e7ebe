"""Keeps records of containers right when nodes are lost or removed (docs/spec/orchestration.md sections 6.1, 9.2)."""

import asyncio

from services.clients.nodes import Node, NodeDirectory
from services.deploy_svc.store import command_routes, containers
from services.kernel.db import Database
from services.kernel.informer import Change, Delete, Synced, Upsert

PERIOD_SECONDS = 15.0


class ContainerMirror:
    """Any number of replicas may run it; each turn is idempotent."""

    def __init__(self, db: Database, nodes: NodeDirectory) -> None:
        self._db = db
        self._nodes = nodes
        self._connected: dict[str, bool] = {}
        self._removed: set[str] = set()
        self.wake = asyncio.Event()
        nodes.informer.on_change(self._observe)

    async def turn(self) -> None:
        """Mark the containers of lost nodes, forget those of removed nodes."""
        nodes = await self._nodes.all()
        lost = {node.id: node.session for node in nodes.values() if not node.connected}
        async with self._db.transaction() as tx:
            if lost:
                await containers.mark_lost(tx, lost)
            if removed := set(self._removed):
                await containers.forget_nodes(tx, removed)
            await containers.forget_unknown_nodes(tx, list(nodes))
            await command_routes.expire(tx)
        self._removed -= removed

    def _observe(self, change: Change[Node]) -> None:
        match change:
            case Upsert(key, node):
                # It is there after all: old news must not forget what it reports.
                self._removed.discard(key)
                if self._connected.get(key) == node.connected:
                    return
                self._connected[key] = node.connected
            case Delete(key):
                self._connected.pop(key, None)
                self._removed.add(key)
            case Synced():
                pass
        self.wake.set()
