"""ConfigService."""

from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct

from kontena.auth.v1 import config_pb2 as pb
from kontena.auth.v1.config_pb2_grpc import ConfigServiceServicer
from services.auth_svc.convert.config import values_from_proto, values_to_proto
from services.auth_svc.usecases.config import Config
from services.kernel import call
from services.kernel.methods import Context


class ConfigServicer(ConfigServiceServicer):
    def __init__(self, config: Config) -> None:
        self._config = config

    async def GetConfig(self, request: pb.GetConfigRequest, context: Context) -> Struct:
        return values_to_proto(await self._config.show(call.principal(), request.filter))

    async def GetConfigKey(self, request: pb.GetConfigKeyRequest, context: Context) -> Struct:
        return values_to_proto(await self._config.get(call.principal(), request.key))

    async def UpdateConfig(self, request: pb.UpdateConfigRequest, context: Context) -> Empty:
        await self._config.update(call.principal(), values_from_proto(request.values))
        return Empty()

    async def ReplaceConfig(self, request: pb.ReplaceConfigRequest, context: Context) -> Empty:
        await self._config.replace(call.principal(), values_from_proto(request.values))
        return Empty()

    async def ClearConfig(self, request: pb.ClearConfigRequest, context: Context) -> Empty:
        await self._config.replace(call.principal(), {})
        return Empty()

    async def DeleteConfigKey(self, request: pb.DeleteConfigKeyRequest, context: Context) -> Empty:
        await self._config.delete(call.principal(), request.key)
        return Empty()
