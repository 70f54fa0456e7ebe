"""A REST caller, seen from the service: JSON in and out as the gateway transcodes it."""

import json
from copy import copy
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict

from kontena.grid.v1 import (
    grid_pb2,
    grid_pb2_grpc,
    legacy_node_pb2,
    legacy_node_pb2_grpc,
    metrics_pb2,
    metrics_pb2_grpc,
    node_key_pb2,
    node_key_pb2_grpc,
    node_pb2,
    node_pb2_grpc,
    node_token_pb2,
    node_token_pb2_grpc,
)


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
        self._tokens: Any = node_token_pb2_grpc.NodeTokenServiceStub(channel)
        self._keys: Any = node_key_pb2_grpc.NodeKeyServiceStub(channel)
        self._metrics: Any = metrics_pb2_grpc.MetricsServiceStub(channel)
        self._metadata: tuple[tuple[str, str], ...] = (("authorization", f"bearer {token}"),) if token else ()

    def matching(self, tag: str) -> "Caller":
        """The same user, who changes only what still has this entity tag."""
        careful = copy(self)
        careful._metadata = (*self._metadata, ("if-match", tag))
        return careful

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

    async def rotate_grid_token(self, name: str, body: dict[str, Any]) -> Answer:
        return await self._call(self._grids.RotateGridToken, grid_pb2.RotateGridTokenRequest(grid=name), body)

    async def create_node(self, grid: str, body: dict[str, Any]) -> Answer:
        return await self._call(self._nodes.CreateNode, node_pb2.CreateNodeRequest(grid=grid), body)

    async def node_health(self, path: str) -> Answer:
        return await self._call(self._nodes.GetNodeHealth, node_pb2.GetNodeHealthRequest(id=path), {})

    async def node_token(self, path: str) -> Answer:
        return await self._call(self._tokens.GetNodeToken, node_token_pb2.GetNodeTokenRequest(id=path), {})

    async def set_node_token(self, path: str, body: dict[str, Any]) -> Answer:
        return await self._call(self._tokens.SetNodeToken, node_token_pb2.SetNodeTokenRequest(id=path), body)

    async def clear_node_token(self, path: str, body: dict[str, Any]) -> Answer:
        return await self._call(self._tokens.ClearNodeToken, node_token_pb2.ClearNodeTokenRequest(id=path), body)

    async def reset_node_key(self, path: str) -> Answer:
        return await self._call(self._keys.ResetNodeKey, node_key_pb2.ResetNodeKeyRequest(id=path), {})

    async def node_metrics(self, path: str, **query: str) -> Answer:
        request = ParseDict(query, metrics_pb2.GetNodeMetricsRequest(id=path))
        return await self._call(self._metrics.GetNodeMetrics, request, {})

    async def grid_metrics(self, name: str, **query: str) -> Answer:
        request = ParseDict(query, metrics_pb2.GetGridMetricsRequest(grid=name))
        return await self._call(self._metrics.GetGridMetrics, request, {})

    async def _call(self, method: Any, request: Any, body: dict[str, Any]) -> Answer:
        ParseDict(body, request, ignore_unknown_fields=True)
        metadata = (*self._metadata, ("x-body-fields", body_fields(body))) if body else self._metadata
        return await answer(method(request, metadata=metadata))


class LegacyCaller:
    """A script on a node, with the join token of its grid."""

    def __init__(self, channel: grpc.aio.Channel, grid_token: str | None) -> None:
        self._stub: Any = legacy_node_pb2_grpc.LegacyNodeServiceStub(channel)
        self._metadata = (("kontena-grid-token", grid_token),) if grid_token is not None else ()

    async def node(self, engine_id: str) -> Answer:
        request = legacy_node_pb2.GetLegacyNodeRequest(node_id=engine_id)
        return await answer(self._stub.GetLegacyNode(request, metadata=self._metadata))

    async def update(self, engine_id: str, body: dict[str, Any]) -> Answer:
        request = ParseDict(
            body, legacy_node_pb2.UpdateLegacyNodeRequest(node_id=engine_id), ignore_unknown_fields=True
        )
        metadata = (*self._metadata, ("x-body-fields", body_fields(body)))
        return await answer(self._stub.UpdateLegacyNode(request, metadata=metadata))
