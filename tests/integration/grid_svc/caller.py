"""A REST caller, seen from the service: JSON in and out as the gateway transcodes it."""

import json
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict

from kontena.grid.v1 import grid_pb2, grid_pb2_grpc, node_pb2, node_pb2_grpc


@dataclass(frozen=True)
class Answer:
    """What an HTTP client gets."""

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
    body = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return Answer(int(headers.get("x-http-status", 200)), body, headers)


def body_fields(body: dict[str, Any]) -> str:
    """What the gateway puts into `x-body-fields`: member paths to depth two, `name!` for a null."""
    nested = [(key, value) for key, value in body.items() if isinstance(value, dict)]
    paths = {**body, **{f"{key}.{name}": inner for key, value in nested for name, inner in value.items()}}
    return ",".join(path if value is not None else f"{path}!" for path, value in paths.items())


class Caller:
    """Grids and nodes with one user's token."""

    def __init__(self, channel: grpc.aio.Channel, token: str | None) -> None:
        self._grids: Any = grid_pb2_grpc.GridServiceStub(channel)
        self._nodes: Any = node_pb2_grpc.NodeServiceStub(channel)
        self._metadata = (("authorization", f"bearer {token}"),) if token else ()

    async def grids(self) -> Answer:
        return await self._call(self._grids.ListGrids, grid_pb2.ListGridsRequest(), {})

    async def create_grid(self, body: dict[str, Any]) -> Answer:
        return await self._call(self._grids.CreateGrid, grid_pb2.CreateGridRequest(), body)

    async def grid(self, name: str) -> Answer:
        return await self._call(self._grids.GetGrid, grid_pb2.GetGridRequest(grid=name), {})

    async def update_grid(self, name: str, body: dict[str, Any]) -> Answer:
        return await self._call(self._grids.UpdateGrid, grid_pb2.UpdateGridRequest(grid=name), body)

    async def delete_grid(self, name: str) -> Answer:
        return await self._call(self._grids.DeleteGrid, grid_pb2.DeleteGridRequest(grid=name), {})

    async def nodes(self, grid: str) -> Answer:
        return await self._call(self._nodes.ListNodes, node_pb2.ListNodesRequest(grid=grid), {})

    async def node(self, path: str) -> Answer:
        return await self._call(self._nodes.GetNode, node_pb2.GetNodeRequest(id=path), {})

    async def update_node(self, path: str, body: dict[str, Any]) -> Answer:
        return await self._call(self._nodes.UpdateNode, node_pb2.UpdateNodeRequest(id=path), body)

    async def delete_node(self, path: str) -> Answer:
        return await self._call(self._nodes.DeleteNode, node_pb2.DeleteNodeRequest(id=path), {})

    async def _call(self, method: Any, request: Any, body: dict[str, Any]) -> Answer:
        ParseDict(body, request, ignore_unknown_fields=True)
        metadata = (*self._metadata, ("x-body-fields", body_fields(body))) if body else self._metadata
        return await answer(method(request, metadata=metadata))
