"""Whether the session in whose name an agent speaks is the newest one of a node that exists."""

import asyncio
from typing import NoReturn

from services.clients.nodes import Node, NodeDirectory
from services.kernel.errors import DomainError
from services.kernel.principal import NodeSession
from services.kernel.session_refusals import SessionReason

# A node that joined a moment ago may not be known here yet.
_PATIENCE_SECONDS = 5.0
_LOOK_SECONDS = 2.0


class SessionEnded(DomainError):
    """The session of the agent is void: it must open a new one."""

    def __init__(self, message: str, reason: SessionReason = SessionReason.SESSION_SUPERSEDED) -> None:
        super().__init__(message, reason=reason)
        self.code, self.http_status = reason.code, reason.http_status


async def require_current(nodes: NodeDirectory, session: NodeSession) -> Node:
    """The node. Raises SessionEnded when it was removed, or has a newer session; its token is good for longer."""
    node = await nodes.awaited(session.node_id, _PATIENCE_SECONDS)
    if node is None or node.grid_id != session.grid_id:
        raise SessionEnded("The node was removed from its grid.", SessionReason.NODE_REMOVED)
    if node.session > session.number:
        raise SessionEnded("A newer session of this node is open.")
    return node


async def until_ended(nodes: NodeDirectory, session: NodeSession) -> NoReturn:
    """Raises SessionEnded within seconds after the session ended, also while nobody says anything."""
    while True:
        await require_current(nodes, session)
        await asyncio.sleep(_LOOK_SECONDS)
