"""A REST caller, seen from the service: what the gateway makes of a request, and what it would answer."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict

from kontena.deploy.v1 import container_log_pb2 as log_pb
from kontena.deploy.v1 import container_log_pb2_grpc, service_pb2_grpc
from kontena.deploy.v1 import service_pb2 as pb


@dataclass(frozen=True)
class Answer:
    """`body` is JSON."""

    status: int
    body: Any


async def answer(call: Any) -> Answer:
    try:
        message = await call
    except grpc.aio.AioRpcError as error:
        return refusal(error)
    headers = {key: value for key, value in await call.initial_metadata() if isinstance(value, str)}
    body = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return Answer(int(headers.get("x-http-status", 200)), body)


def refusal(error: grpc.aio.AioRpcError) -> Answer:
    trailers = {key: value for key, value in error.trailing_metadata() or () if isinstance(value, str)}
    assert "x-http-status" in trailers, error
    return Answer(int(trailers["x-http-status"]), json.loads(trailers["x-error-json"]))


def body_fields(body: dict[str, Any]) -> Iterator[str]:
    """What the gateway tells of a JSON body."""
    for name, value in body.items():
        yield name if value is not None else f"{name}!"
        if isinstance(value, dict):
            yield from (f"{name}.{member}" + ("" if inner is not None else "!") for member, inner in value.items())


class Rest:
    """The API with one user's token."""

    def __init__(self, channel: grpc.aio.Channel, token: str | None) -> None:
        self._services: Any = service_pb2_grpc.ServiceServiceStub(channel)
        self._logs: Any = container_log_pb2_grpc.ContainerLogServiceStub(channel)
        self._metadata = (("authorization", f"bearer {token}"),) if token else ()

    async def list(self, grid: str = "g1", stack: str = "") -> Answer:
        return await self._call("ListServices", pb.ListServicesRequest(grid=grid, stack=stack))

    async def create(self, body: dict[str, Any], grid: str = "g1") -> Answer:
        request = pb.CreateServiceRequest(grid=grid)
        return await self._call("CreateService", request, body)

    async def created(self, name: str = "web", **body: Any) -> dict[str, Any]:
        """The JSON of a new service."""
        made = await self.create({"name": name, "image": "busybox:1", "stateful": False, **body})
        assert made.status == 201, made
        return made.body

    async def get(self, path: str = "g1/null/web") -> Answer:
        return await self._call("GetService", pb.GetServiceRequest(id=path))

    async def put(self, body: dict[str, Any], path: str = "g1/null/web") -> Answer:
        return await self._call("UpdateService", pb.UpdateServiceRequest(id=path), body)

    async def delete(self, path: str = "g1/null/web") -> Answer:
        return await self._call("DeleteService", pb.DeleteServiceRequest(id=path))

    async def deploy(self, path: str = "g1/null/web", *, force: bool | None = None) -> Answer:
        return await self._call("DeployService", pb.DeployServiceRequest(id=path, force=force))

    async def scale(self, instances: int | None, path: str = "g1/null/web") -> Answer:
        return await self._call("ScaleService", pb.ScaleServiceRequest(id=path, instances=instances))

    async def start(self, path: str = "g1/null/web") -> Answer:
        return await self._call("StartService", pb.StartServiceRequest(id=path))

    async def stop(self, path: str = "g1/null/web") -> Answer:
        return await self._call("StopService", pb.StopServiceRequest(id=path))

    async def restart(self, path: str = "g1/null/web") -> Answer:
        return await self._call("RestartService", pb.RestartServiceRequest(id=path))

    async def add_env(self, env: str | None, path: str = "g1/null/web") -> Answer:
        return await self._call("AddServiceEnv", pb.AddServiceEnvRequest(id=path, env=env))

    async def remove_env(self, key: str, path: str = "g1/null/web") -> Answer:
        return await self._call("RemoveServiceEnv", pb.RemoveServiceEnvRequest(id=path, key=key))

    async def get_deploy(self, deploy_id: str, path: str = "g1/null/web") -> Answer:
        return await self._call("GetServiceDeploy", pb.GetServiceDeployRequest(id=path, deploy_id=deploy_id))

    async def deploys(self, path: str = "g1/null/web", **page: Any) -> Answer:
        return await self._call("ListServiceDeploys", pb.ListServiceDeploysRequest(id=path, **page))

    async def cancel(self, deploy_id: str, path: str = "g1/null/web") -> Answer:
        return await self._call("CancelServiceDeploy", pb.CancelServiceDeployRequest(id=path, deploy_id=deploy_id))

    async def revisions(self, path: str = "g1/null/web", **page: Any) -> Answer:
        return await self._call("ListServiceRevisions", pb.ListServiceRevisionsRequest(id=path, **page))

    async def rollback(self, revision: int | None, path: str = "g1/null/web") -> Answer:
        return await self._call("RollbackService", pb.RollbackServiceRequest(id=path, revision=revision))

    async def rebalance(self, path: str = "g1/null/web", *, plan: bool = False) -> Answer:
        if plan:
            return await self._call("PlanServiceRebalance", pb.PlanServiceRebalanceRequest(id=path))
        return await self._call("RebalanceService", pb.RebalanceServiceRequest(id=path))

    async def rebalance_grid(self, grid: str = "g1", *, plan: bool = False) -> Answer:
        if plan:
            return await self._call("PlanGridRebalance", pb.PlanGridRebalanceRequest(grid=grid))
        return await self._call("RebalanceGrid", pb.RebalanceGridRequest(grid=grid))

    async def plan(self, body: dict[str, Any], path: str = "g1/null/web") -> Answer:
        return await self._call("PlanService", pb.PlanServiceRequest(id=path), body)

    async def logs(self, path: str = "g1/null/web", **query: str) -> Answer:
        """The whole answer, as a client reads it."""
        pieces = []
        try:
            async for piece in self.log_stream(path, **query):
                assert piece.content_type == "application/json"
                pieces.append(piece.data)
        except grpc.aio.AioRpcError as error:
            return refusal(error)
        return Answer(200, json.loads(b"".join(pieces)))

    def log_stream(self, path: str = "g1/null/web", *, accept: str = "application/json", **query: str) -> Any:
        request = log_pb.ListServiceLogsRequest(id=path, **query)
        return self._logs.ListServiceLogs(request, metadata=(*self._metadata, ("accept", accept)))

    async def follow(self, path: str = "g1/null/web", **query: str) -> AsyncIterator[dict[str, Any] | None]:
        """Items as they arrive; None for a keep-alive."""
        async for piece in self.log_stream(path, follow="1", **query):
            assert piece.data.endswith(b"\n")
            yield json.loads(piece.data) if piece.data.strip() else None

    async def _call(self, method: str, request: Any, body: dict[str, Any] | None = None) -> Answer:
        metadata = self._metadata
        if body is not None:
            ParseDict({"service": body}, request, ignore_unknown_fields=True)
            metadata = (*metadata, ("x-body-fields", ",".join(body_fields(body))))
        return await answer(getattr(self._services, method)(request, metadata=metadata))
