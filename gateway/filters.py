"""HTTP filters, in the order a request passes them; a response passes them backwards."""

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path

from google.protobuf import descriptor_pb2

from gateway.body_limits import body_limit_filter
from gateway.catalog import Service, path_variables
from gateway.compression import compressors
from gateway.cors import cors_filters
from gateway.rate_limit import rate_limit_filter
from gateway.readiness import readiness_filter
from gateway.settings import GatewaySettings
from gateway.texts import texts
from gateway.typed import Config, extension, typed

_HERE = Path(__file__).parent
_NOT_HEAD = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")


def http_filters(
    settings: GatewaySettings, services: Iterable[Service], descriptors: descriptor_pb2.FileDescriptorSet
) -> list[Config]:
    """What answers pass last stands first: HEAD, CORS, compression; then body limit, contract, readiness,
    transcoder, rate limit (it counts RPCs, so that REST and gRPC callers share it), router."""
    public = [service for service in services if service.public]
    known = texts(public, descriptors)
    return [
        head_filter(),
        *cors_filters(settings),
        *compressors(),
        body_limit_filter(),
        lua_filter("contract", "utf8.lua", "json.lua", "json_members.lua", "contract.lua", before=known.lua()),
        readiness_filter(settings.upstreams),
        transcoder_filter(settings, public, descriptors),
        rate_limit_filter(),
        router_filter(),
    ]


def router_filter() -> Config:
    """Sends the request on; the last of all."""
    return extension(
        "envoy.filters.http.router", "extensions.filters.http.router.v3.Router", suppress_envoy_headers=True
    )


def lua_filter(name: str, *files: str, before: str = "") -> Config:
    """A script, inlined so that the rendered file needs no other file."""
    source = "\n".join((before, *((_HERE / file).read_text() for file in files)))
    return extension(
        f"envoy.filters.http.lua.{name}",
        "extensions.filters.http.lua.v3.Lua",
        default_source_code={"inline_string": source},
    )


def head_filter() -> Config:
    """Makes HEAD a GET without a body; other methods do not pay for it."""
    skip = typed("extensions.filters.common.matcher.action.v3.SkipFilter")
    others = {verb: {"action": {"name": "skip", "typed_config": skip}} for verb in _NOT_HEAD}
    method = typed("type.matcher.v3.HttpRequestHeaderMatchInput", header_name=":method")
    return extension(
        "envoy.filters.http.match_delegate",
        "extensions.common.matching.v3.ExtensionWithMatcher",
        extension_config=lua_filter("head", "head.lua"),
        xds_matcher={
            "matcher_tree": {
                "input": {"name": "method", "typed_config": method},
                "exact_match_map": {"map": others},
            }
        },
    )


def transcoder_filter(
    settings: GatewaySettings, public: Sequence[Service], descriptors: descriptor_pb2.FileDescriptorSet
) -> Config:
    """REST to gRPC for exactly the `public` services."""
    return extension(
        "envoy.filters.http.grpc_json_transcoder",
        "extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor_bin=base64.b64encode(without_comments(descriptors).SerializeToString()).decode(),
        services=[service.name for service in public],
        print_options={
            "always_print_primitive_fields": True,
            "preserve_proto_field_names": True,
            "stream_newline_delimited": True,
        },
        convert_grpc_status=True,
        ignore_unknown_query_parameters=True,
        # A query parameter or body member would silently win over the path.
        ignored_query_parameters=list(path_variables(public)),
        request_validation_options={"reject_binding_body_field_collisions": True},
        query_param_unescape_plus=True,
        # `@` and `:` may be escaped by clients; an escaped slash stays escaped, so it never splits an id.
        url_unescape_spec="ALL_CHARACTERS_EXCEPT_SLASH",
        max_request_body_size=settings.body_limit_bytes,
        max_response_body_size=settings.response_limit_bytes,
    )


def without_comments(descriptors: descriptor_pb2.FileDescriptorSet) -> descriptor_pb2.FileDescriptorSet:
    """A copy without source comments, a fifth of the size."""
    copy = descriptor_pb2.FileDescriptorSet()
    copy.CopyFrom(descriptors)
    for file in copy.file:
        file.ClearField("source_code_info")
    return copy
