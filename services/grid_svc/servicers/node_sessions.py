"""NodeSessionService."""

from collections.abc import AsyncIterator
from typing import Any

from kontena.grid.v1 import node_session_pb2 as pb
from kontena.grid.v1.node_session_pb2_grpc import NodeSessionServiceServicer
from services.grid_svc.convert import node_session as convert
from services.grid_svc.usecases.node_sessions import NodeSessions
from services.kernel.methods import Context, texts


class NodeSessionServicer(NodeSessionServiceServicer):
    def __init__(self, sessions: NodeSessions) -> None:
        self._sessions = sessions

    async def Connect(self, request_iterator: Any, context: Context) -> AsyncIterator[pb.ConnectResponse]:
        tokens = convert.join_tokens(texts(context))
        async for message in self._sessions.connect(tokens, convert.incoming_from_proto(request_iterator)):
            yield convert.outgoing_to_proto(message)
