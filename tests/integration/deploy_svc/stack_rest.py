"""A REST caller for stacks and volumes, seen from the service."""

import json
from collections.abc import Sequence
from typing import Any

import grpc
import sqlalchemy as sa
from google.protobuf.json_format import ParseDict

from kontena.deploy.v1 import service_pb2, stack_pb2, volume_pb2
from kontena.deploy.v1 import stack_conversion_pb2 as conversion_pb2
from kontena.deploy.v1.service_pb2_grpc import ServiceServiceStub
from kontena.deploy.v1.stack_conversion_pb2_grpc import StackConversionServiceStub
from kontena.deploy.v1.stack_pb2_grpc import StackServiceStub
from kontena.deploy.v1.volume_pb2_grpc import VolumeServiceStub
from services.deploy_svc.store import stack_tables, tables
from services.kernel.db import Database
from tests.integration.deploy_svc.rest import Answer, answer, body_fields
from tests.support.eventually import eventually


class StackRest:
    """The API as one user; `headers` are HTTP headers of single calls."""

    def __init__(self, channel: grpc.aio.Channel, user: str = "member") -> None:
        self._stacks: Any = StackServiceStub(channel)
        self._conversions: Any = StackConversionServiceStub(channel)
        self._volumes: Any = VolumeServiceStub(channel)
        self._services: Any = ServiceServiceStub(channel)
        self._metadata = (("authorization", f"bearer {user}"),)
        self.headers: dict[str, str] = {}

    async def list(self, grid: str = "g1") -> Answer:
        return await self._stack("ListStacks", stack_pb2.ListStacksRequest(grid=grid))

    async def create(self, body: dict[str, Any], grid: str = "g1", **headers: str) -> Answer:
        return await self._stack("CreateStack", stack_pb2.CreateStackRequest(grid=grid), body, **headers)

    async def created(self, *services: dict[str, Any], **body: Any) -> dict[str, Any]:
        """The JSON of a new stack."""
        made = await self.create(document(*services, **body))
        assert made.status == 201, made
        return dict(made.body)

    async def get(self, path: str = "g1/shop") -> Answer:
        return await self._stack("GetStack", stack_pb2.GetStackRequest(id=path))

    async def put(self, body: dict[str, Any], path: str = "g1/shop", **headers: str) -> Answer:
        return await self._stack("UpdateStack", stack_pb2.UpdateStackRequest(id=path), body, **headers)

    async def delete(self, path: str = "g1/shop", **headers: str) -> Answer:
        return await self._stack("DeleteStack", stack_pb2.DeleteStackRequest(id=path), None, **headers)

    async def deploy(self, path: str = "g1/shop", **headers: str) -> Answer:
        return await self._stack("DeployStack", stack_pb2.DeployStackRequest(id=path), None, **headers)

    async def stop(self, path: str = "g1/shop") -> Answer:
        return await self._stack("StopStack", stack_pb2.StopStackRequest(id=path))

    async def restart(self, path: str = "g1/shop") -> Answer:
        return await self._stack("RestartStack", stack_pb2.RestartStackRequest(id=path))

    async def get_deploy(self, deploy_id: str, path: str = "g1/shop") -> Answer:
        return await self._stack("GetStackDeploy", stack_pb2.GetStackDeployRequest(id=path, deploy_id=deploy_id))

    async def deploys(self, path: str = "g1/shop", **page: Any) -> Answer:
        return await self._stack("ListStackDeploys", stack_pb2.ListStackDeploysRequest(id=path, **page))

    async def follow(self, deploy_id: str, path: str = "g1/shop") -> Sequence[dict[str, Any]]:
        """The lines of the answer, once it has ended."""
        request = stack_pb2.FollowStackDeployRequest(id=path, deploy_id=deploy_id)
        pieces = [piece.data async for piece in self._stacks.FollowStackDeploy(request, metadata=self._metadata)]
        return [json.loads(line) for line in b"".join(pieces).splitlines() if line]

    async def cancel(self, deploy_id: str, path: str = "g1/shop") -> Answer:
        return await self._stack("CancelStackDeploy", stack_pb2.CancelStackDeployRequest(id=path, deploy_id=deploy_id))

    async def revisions(self, path: str = "g1/shop", **page: Any) -> Answer:
        return await self._stack("ListStackRevisions", stack_pb2.ListStackRevisionsRequest(id=path, **page))

    async def rollback(self, revision: int | None, path: str = "g1/shop", **headers: str) -> Answer:
        return await self._stack(
            "RollbackStack", stack_pb2.RollbackStackRequest(id=path, revision=revision), None, **headers
        )

    async def plan(self, body: dict[str, Any], path: str = "g1/shop") -> Answer:
        return await self._stack("PlanStack", stack_pb2.PlanStackRequest(id=path), body)

    async def plan_new(self, body: dict[str, Any], grid: str = "g1") -> Answer:
        return await self._stack("PlanNewStack", stack_pb2.PlanNewStackRequest(grid=grid), body)

    async def convert(self, body: dict[str, Any], grid: str = "g1") -> Answer:
        request = conversion_pb2.ConvertStackRequest(grid=grid)
        ParseDict(body, request.source)
        return await self._call(self._conversions.ConvertStack, request)

    async def service(self, path: str = "g1/shop/web") -> Answer:
        return await self._call(self._services.GetService, service_pb2.GetServiceRequest(id=path))

    async def volume_list(self, grid: str = "g1") -> Answer:
        return await self._call(self._volumes.ListVolumes, volume_pb2.ListVolumesRequest(grid=grid))

    async def volume(self, path: str = "g1/data") -> Answer:
        return await self._call(self._volumes.GetVolume, volume_pb2.GetVolumeRequest(id=path))

    async def delete_volume(self, path: str = "g1/data") -> Answer:
        return await self._call(self._volumes.DeleteVolume, volume_pb2.DeleteVolumeRequest(id=path))

    async def create_volume(self, body: dict[str, Any], grid: str = "g1") -> Answer:
        request = volume_pb2.CreateVolumeRequest(grid=grid)
        return await self._call(self._volumes.CreateVolume, request, {"volume": body})

    async def finished(self, deploy_id: str, path: str = "g1/shop") -> dict[str, Any]:
        """The deploy once it ended."""

        async def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = (await self.get_deploy(deploy_id, path)).body
            return found if found["state"] in ("success", "error") else None

        found = await eventually(ended, message="the stack deploy ends")
        assert found is not None
        return found

    async def _stack(self, method: str, request: Any, body: dict[str, Any] | None = None, **headers: str) -> Answer:
        return await self._call(
            getattr(self._stacks, method), request, None if body is None else {"stack": body}, **headers
        )

    async def _call(self, method: Any, request: Any, body: dict[str, Any] | None = None, **headers: str) -> Answer:
        metadata = [*self._metadata, *((name.replace("_", "-"), value) for name, value in headers.items())]
        if body is not None:
            ParseDict(body, request, ignore_unknown_fields=True)
            (inner,) = body.values()
            metadata.append(("x-body-fields", ",".join(body_fields(inner))))
        call = method(request, metadata=tuple(metadata))
        found = await answer(call)
        self.headers = {key: value for key, value in await call.initial_metadata() if isinstance(value, str)}
        return found


def service(name: str, **changed: Any) -> dict[str, Any]:
    return {"name": name, "image": "busybox:1", "stateful": False, **changed}


def link(name: str) -> dict[str, str]:
    return {"name": name, "alias": name.rpartition("/")[2]}


def document(*services: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {
        "name": "shop",
        "stack": "me/shop",
        "version": "0.1.0",
        "registry": "file://",
        "source": "services: {}\n",
        "services": list(services or (service("web", links=[link("db")]), service("db"))),
        **changed,
    }


async def snapshot(db: Database) -> list[Any]:
    """Everything that requests write, but for when it was written."""
    async with db.read() as tx:
        found: list[Any] = []
        for table in (tables.services, stack_tables.stacks, stack_tables.stack_revisions, stack_tables.stack_deploys):
            found += [tuple(row) for row in await tx.execute(table.select().order_by(*table.primary_key))]
        found.append((await tx.execute(sa.select(sa.func.count()).select_from(tables.service_deploys))).scalar_one())
    return found
