"""Partial updates of gRPC callers, through the gateway."""

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from kontena.deploy.v1 import service_pb2 as pb
from kontena.deploy.v1 import service_pb2_grpc
from tests.integration.deploy_svc.http_world import Http, HttpWorld

WEB = "/v1/services/g1/null/web"
METADATA = (("authorization", "bearer member"),)


async def update(edge: HttpWorld, spec: pb.ServiceSpec, *paths: str) -> pb.Service:
    request = pb.UpdateServiceRequest(id="g1/null/web", service=spec)
    request.update_mask.paths.extend(paths)
    async with grpc.aio.insecure_channel(edge.gateway.target) as channel:
        stub: Any = service_pb2_grpc.ServiceServiceStub(channel)
        found: pb.Service = await stub.UpdateService(request, metadata=METADATA)
        return found


def violations(error: grpc.aio.AioRpcError) -> list[str]:
    """The fields that the details of an error name."""
    bad = error_details_pb2.BadRequest()
    status = rpc_status.from_call(error)
    assert status is not None
    assert any(detail.Unpack(bad) for detail in status.details)
    return [item.field for item in bad.field_violations]


@pytest.fixture
async def _web(http: Http) -> None:
    body = {"name": "web", "image": "busybox:1", "stateful": False, "env": ["A=1"]}
    await http.call("POST", "/v1/grids/g1/services", body, 201)


@pytest.mark.usefixtures("_web")
async def test_only_what_the_mask_names_changes(edge: HttpWorld, http: Http) -> None:
    await update(edge, pb.ServiceSpec(env=["A=2"], instances=9, image="other:2"), "env")
    shown = await http.call("GET", WEB)
    assert (shown["env"], shown["instances"], shown["image"]) == (["A=2"], 1, "busybox:1")


@pytest.mark.usefixtures("_web")
async def test_what_the_mask_names_without_a_value_is_taken_back(edge: HttpWorld, http: Http) -> None:
    given = {"user": "root", "memory": 1 << 20, "deploy_opts": {"interval": 60, "min_health": 0.5}, "env": ["A=1"]}
    await http.call("PUT", WEB, given)
    await update(edge, pb.ServiceSpec(), "user", "memory", "deploy_opts.interval", "stack")
    shown = await http.call("GET", WEB)
    assert not {"user", "memory"} & {name for name in shown if shown[name] is not None}
    assert (shown["deploy_opts"]["min_health"], shown["env"]) == (0.5, ["A=1"])
    assert shown["deploy_opts"].get("interval") is None
    # REST clients that send back nulls change nothing by it; an empty text is what takes a text back.
    await http.call("PUT", WEB, {"user": "root"})
    assert (await http.call("PUT", WEB, {"user": None}))["user"] == "root"
    assert (await http.call("PUT", WEB, {"user": ""})).get("user") is None


@pytest.mark.usefixtures("_web")
@pytest.mark.parametrize("path", ["*", "service.env", "nope", "id"])
async def test_an_unknown_path_changes_nothing(edge: HttpWorld, http: Http, path: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="there is no attribute") as refused:
        await update(edge, pb.ServiceSpec(env=["A=2"]), "env", path)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violations(refused.value) == ["update_mask"]
    assert (await http.call("GET", WEB))["env"] == ["A=1"]


@pytest.mark.usefixtures("_web")
async def test_what_is_wrong_is_told_by_field(edge: HttpWorld) -> None:
    spec = pb.ServiceSpec(env=["A=1", "=x"])
    spec.deploy_opts.min_health = 7
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await update(edge, spec)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert set(violations(refused.value)) == {"env[1]", "deploy_opts.min_health"}
