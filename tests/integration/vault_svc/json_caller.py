"""A REST caller of any service of the vault, seen from the service: JSON in, status and JSON out."""

import json
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.descriptor_pool import Default
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass

from kontena.vault.v1 import certificate_pb2, domain_authorization_pb2, external_registry_pb2  # noqa: F401 -- known then.


@dataclass(frozen=True)
class Answer:
    """`body` is JSON."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


class JsonCaller:
    """The public API with one user's token."""

    def __init__(self, channel: grpc.aio.Channel, token: str | None) -> None:
        self._channel = channel
        self._metadata = (("authorization", f"bearer {token}"),) if token else ()

    async def call(self, rpc: str, /, **members: Any) -> Answer:
        """`rpc` is `Service.Method`; members are those of the path and of the body together."""
        service, _, name = rpc.partition(".")
        method = Default().FindServiceByName(f"kontena.vault.v1.{service}").FindMethodByName(name)
        request = ParseDict(members, GetMessageClass(method.input_type)(), ignore_unknown_fields=True)
        invoke: Any = self._channel.unary_unary(
            f"/kontena.vault.v1.{service}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        running = invoke(request, metadata=self._metadata)
        try:
            message = await running
        except grpc.aio.AioRpcError as error:
            return _refusal(error)
        headers = {key: value for key, value in await running.initial_metadata() if isinstance(value, str)}
        return Answer(int(headers.get("x-http-status", 200)), _json(message), headers)


def _refusal(error: grpc.aio.AioRpcError) -> Answer:
    trailers = {key: value for key, value in error.trailing_metadata() or () if isinstance(value, str)}
    assert "x-http-status" in trailers, error
    return Answer(int(trailers["x-http-status"]), json.loads(trailers["x-error-json"]), trailers)


def _json(message: Any) -> Any:
    if message.DESCRIPTOR.full_name == HttpBody.DESCRIPTOR.full_name:
        assert message.content_type == "application/json"
        return json.loads(message.data)
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
