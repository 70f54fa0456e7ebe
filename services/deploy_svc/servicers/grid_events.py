"""GridEventService: decode, call, encode."""

from google.protobuf.empty_pb2 import Empty

from kontena.deploy.v1 import grid_event_pb2 as pb
from kontena.deploy.v1.grid_event_pb2_grpc import GridEventServiceServicer
from services.deploy_svc.convert.event_logs import grid_event_from_proto
from services.deploy_svc.usecases.grid_events import GridEvents
from services.kernel.call import principal
from services.kernel.methods import Context


class GridEventServicer(GridEventServiceServicer):
    def __init__(self, events: GridEvents) -> None:
        self._events = events

    async def RecordGridEvents(self, request: pb.RecordGridEventsRequest, context: Context) -> Empty:
        given = [(event.id, grid_event_from_proto(event)) for event in request.events]
        await self._events.record(principal().service, given)
        return Empty()
