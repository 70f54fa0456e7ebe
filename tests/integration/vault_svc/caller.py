"""A REST caller, seen from the service: the status and the body that the gateway would send."""

import json
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.struct_pb2 import Value

from kontena.vault.v1 import secret_delivery_pb2 as delivery_pb
from kontena.vault.v1 import secret_delivery_pb2_grpc, secret_pb2_grpc
from kontena.vault.v1 import secret_pb2 as pb
from tests.support.running import service_metadata


@dataclass(frozen=True)
class Answer:
    """`body` is the JSON of an error, or the message of a success."""

    status: int
    body: Any
    headers: dict[str, str]


async def answer(call: Any) -> Answer:
    try:
        message = await call
    except grpc.aio.AioRpcError as error:
        trailers = {key: value for key, value in error.trailing_metadata() if isinstance(value, str)}
        return Answer(int(trailers["x-http-status"]), json.loads(trailers["x-error-json"]), trailers)
    headers = {key: value for key, value in await call.initial_metadata() if isinstance(value, str)}
    return Answer(int(headers.get("x-http-status", 200)), message, headers)


class Caller:
    """The secrets API with one user's token."""

    def __init__(self, channel: grpc.aio.Channel, token: str | None) -> None:
        self._stub: Any = secret_pb2_grpc.SecretServiceStub(channel)
        self._metadata = (("authorization", f"bearer {token}"),) if token else ()

    async def of_grid(self, grid: str = "alpha") -> Answer:
        return await answer(self._stub.ListSecrets(pb.ListSecretsRequest(grid=grid), metadata=self._metadata))

    async def create(self, name: str | None, value: str | None, grid: str = "alpha") -> Answer:
        request = pb.CreateSecretRequest(grid=grid, name=name, value=value)
        return await answer(self._stub.CreateSecret(request, metadata=self._metadata))

    async def read(self, secret_id: str) -> Answer:
        return await answer(self._stub.GetSecret(pb.GetSecretRequest(id=secret_id), metadata=self._metadata))

    async def update(
        self, secret_id: str, value: str | None, *, name: str | None = None, upsert: bool = False
    ) -> Answer:
        request = pb.UpdateSecretRequest(id=secret_id, value=value, name=name, upsert=Value(bool_value=upsert))
        return await answer(self._stub.UpdateSecret(request, metadata=self._metadata))

    async def put_in_grid(self, name: str, value: str | None, *, upsert: bool = False, grid: str = "alpha") -> Answer:
        request = pb.PutGridSecretRequest(grid=grid, name=name, value=value, upsert=Value(bool_value=upsert))
        return await answer(self._stub.PutGridSecret(request, metadata=self._metadata))

    async def delete(self, secret_id: str) -> Answer:
        return await answer(self._stub.DeleteSecret(pb.DeleteSecretRequest(id=secret_id), metadata=self._metadata))


async def resolve(channel: grpc.aio.Channel, grid_id: str, *names: str) -> Answer:
    stub: Any = secret_delivery_pb2_grpc.SecretDeliveryServiceStub(channel)
    request = delivery_pb.ResolveSecretsRequest(grid_id=grid_id, names=names)
    return await answer(stub.ResolveSecrets(request, metadata=service_metadata("deploy_svc")))
