from dataclasses import replace
from typing import Any

import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2

from gateway import catalog
from kontena.common.v1 import options_pb2


def descriptors(audience: Any, package: str = "kontena.grid.v1") -> descriptor_pb2.FileDescriptorSet:
    """One service with the methods `Get` (two REST forms), `Put` and the stream `Watch`."""
    file = descriptor_pb2.FileDescriptorProto(name="x.proto", package=package)
    service = file.service.add(name="ThingService")
    if audience:
        service.options.Extensions[options_pb2.audience] = audience
    rule = service.method.add(name="Get").options.Extensions[annotations_pb2.http]
    rule.get = "/v1/things/{thing_id=*/*}"
    service.method[0].options.Extensions[options_pb2.open] = True
    rule.additional_bindings.add().get = "/v1/things/{thing_id}/{part}"
    put = service.method.add(name="Put").options.Extensions[annotations_pb2.http]
    put.put, put.body = "/v1/things/{name}", "*"
    service.method.add(name="Watch", server_streaming=True)
    return descriptor_pb2.FileDescriptorSet(file=[file])


def test_what_a_service_is_comes_from_its_options() -> None:
    (service,) = catalog.services(descriptors(options_pb2.AUDIENCE_PUBLIC))
    assert (service.name, service.upstream) == ("kontena.grid.v1.ThingService", "grid")
    assert (service.public, service.routed) == (True, True)
    get, put, watch = service.methods
    assert (get.path, get.open, get.streaming) == ("/kontena.grid.v1.ThingService/Get", True, False)
    assert [binding.body for binding in (*get.bindings, *put.bindings)] == ["", "", "*"]
    assert (put.open, watch.open, watch.streaming) == (False, False, True)
    # An open one is a step of a login, one without REST forms is not called by anybody who counts on this.
    assert [method.is_read for method in (get, put, watch)] == [False, False, False]
    assert [replace(method, open=False).is_read for method in (get, put, watch)] == [True, False, False]


@pytest.mark.parametrize(
    ("audience", "public", "routed"),
    [
        (options_pb2.AUDIENCE_PUBLIC, True, True),
        (options_pb2.AUDIENCE_AGENT, False, True),
        (options_pb2.AUDIENCE_INTERNAL, False, False),
    ],
)
def test_audience_decides_reach(audience: int, public: bool, routed: bool) -> None:
    (service,) = catalog.services(descriptors(audience))
    assert (service.public, service.routed) == (public, routed)


def test_service_without_audience_is_refused() -> None:
    with pytest.raises(ValueError, match="ThingService names no audience"):
        catalog.services(descriptors(options_pb2.AUDIENCE_UNSPECIFIED))


@pytest.mark.parametrize("package", ["kontena.grid", "other.grid.v1", "kontena.grid.v1.x", ""])
def test_package_outside_the_suite_is_refused(package: str) -> None:
    with pytest.raises(ValueError, match="is not kontena"):
        catalog.services(descriptors(options_pb2.AUDIENCE_PUBLIC, package))


def test_path_variables_in_both_spellings() -> None:
    services = catalog.services(descriptors(options_pb2.AUDIENCE_PUBLIC))
    assert catalog.path_variables(services) == ("name", "part", "thingId", "thing_id")
