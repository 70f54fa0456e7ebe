"""AssignmentService: the stream of each node agent."""

from collections.abc import AsyncIterator

from kontena.deploy.v1 import assignment_pb2 as pb
from kontena.deploy.v1.assignment_pb2_grpc import AssignmentServiceServicer
from services.deploy_svc.convert import assignments as convert
from services.deploy_svc.usecases.assignments import Assignments, Incoming
from services.kernel import call
from services.kernel.methods import Context
from services.kernel.node_features import FILES


class AssignmentServicer(AssignmentServiceServicer):
    """Translates; the session comes from the token."""

    def __init__(self, assignments: Assignments) -> None:
        self._assignments = assignments

    async def Attach(
        self, request_iterator: AsyncIterator[pb.AttachRequest], context: Context
    ) -> AsyncIterator[pb.AttachResponse]:
        session = call.node_session()
        # Whether it brings files to containers: agents of before would start one without its files.
        files = any(name == FILES for name, _ in context.invocation_metadata() or ())
        async for item in self._assignments.attach(session, _messages(request_iterator)):
            yield convert.outgoing_to_proto(item, files=files)


async def _messages(requests: AsyncIterator[pb.AttachRequest]) -> AsyncIterator[Incoming]:
    async for request in requests:
        message = convert.incoming_from_proto(request)
        if message is not None:
            yield message
