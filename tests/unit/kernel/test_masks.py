"""Only what a mask names is changed."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from kontena.deploy.v1 import service_pb2 as pb
from kontena.grid.v1 import grid_pb2
from services.kernel.errors import InvalidRequest
from services.kernel.masks import narrowed

SPEC = pb.ServiceSpec(image="x", instances=9, env=["A=1"], stateful=False)
SPEC.deploy_opts.min_health = 0.5
SPEC.deploy_opts.rollback = True


def masked(*paths: str) -> pb.ServiceSpec:
    return narrowed(SPEC, FieldMask(paths=paths))


def test_without_a_mask_everything_stays() -> None:
    assert masked() == SPEC


@pytest.mark.parametrize(
    ("paths", "left"),
    [
        (["env"], pb.ServiceSpec(env=["A=1"])),
        (["env", "env"], pb.ServiceSpec(env=["A=1"])),
        (["stateful", "image"], pb.ServiceSpec(image="x", stateful=False)),
        (["user"], pb.ServiceSpec()),
        (["deploy_opts"], pb.ServiceSpec(deploy_opts=SPEC.deploy_opts)),
        (["deploy_opts", "deploy_opts.min_health"], pb.ServiceSpec(deploy_opts=SPEC.deploy_opts)),
    ],
)
def test_only_what_is_named_is_left(paths: list[str], left: pb.ServiceSpec) -> None:
    assert masked(*paths) == left


def test_a_member_may_be_named_alone() -> None:
    found = masked("deploy_opts.min_health").deploy_opts
    assert found.HasField("min_health")
    assert not found.HasField("rollback")
    cleared = narrowed(pb.ServiceSpec(image="x"), FieldMask(paths=["deploy_opts.interval"]))
    assert cleared.HasField("deploy_opts")
    assert not cleared.deploy_opts.HasField("interval")
    assert not cleared.HasField("image")


@pytest.mark.parametrize(
    "path",
    ["*", "", ".", "nope", "service.env", "env.0", "deploy_opts.", "deploy_opts.nope", "cmd.string_value", "ENV"],
)
def test_what_is_no_attribute_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequest, match="there is no attribute") as refused:
        masked("env", path)
    assert refused.value.violations() == {"update_mask": refused.value.message}


@pytest.mark.parametrize("path", ["grid", "update_mask"])
def test_what_names_the_resource_is_no_attribute(path: str) -> None:
    with pytest.raises(InvalidRequest):
        narrowed(grid_pb2.UpdateGridRequest(), FieldMask(paths=[path]), but=("grid", "update_mask"))
