"""StackConversionService: decode, call, encode."""

from kontena.deploy.v1 import stack_conversion_pb2 as pb
from kontena.deploy.v1.stack_conversion_pb2_grpc import StackConversionServiceServicer
from services.deploy_svc.convert.stack_conversions import conversion_to_proto, request_from_proto
from services.deploy_svc.usecases.stack_conversions import StackConversions
from services.kernel.call import principal
from services.kernel.methods import Context


class StackConversionServicer(StackConversionServiceServicer):
    def __init__(self, conversions: StackConversions) -> None:
        self._conversions = conversions

    async def ConvertStack(self, request: pb.ConvertStackRequest, context: Context) -> pb.ConvertedStack:
        wanted = request_from_proto(request.source)
        return conversion_to_proto(await self._conversions.convert(principal(), request.grid, wanted))
