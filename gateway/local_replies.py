"""Every answer Envoy makes by itself has the error shape of the API (docs/errors.md)."""

import base64

from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2

from gateway.readiness import READY_DETAILS
from gateway.typed import Config, extension, header

_TEXTS = {
    403: "Protocol upgrade is not supported",
    404: "Not found",
    408: "Request timeout",
    413: "Request body too large",
    429: "too_many_requests",
    431: "Request headers too large",
    500: "Internal server error",
    502: "Bad gateway",
    503: "Service unavailable. Try again in a moment.",
    504: "The service did not answer in time. Try again in a moment.",
}
# Our script and the transcoder say what is wrong with a request, our routes too; other texts are Envoy's own, or none.
_EXPLAINED = "response.code_details.contains('grpc_json_transcode_failure') || response.code_details == 'lua_response'"
_OF_A_ROUTE = "response.code_details == 'direct_response'"
_READY = f"response.code_details.startsWith('{READY_DETAILS}')"
_GRPC_CALLER = {"name": "content-type", "string_match": {"safe_regex": {"regex": r"application/grpc(\+.*)?"}}}
_TRANSCODED = {"name": "x-envoy-original-path", "present_match": True}


# When a client should try again, in seconds, as services say it too.
RETRY_SECONDS = 1


def local_reply_config(headers: dict[str, str]) -> Config:
    """JSON for REST callers, the bare text as status message for gRPC callers; success is left alone."""
    added = [header(name, value) for name, value in headers.items()]
    cases = [(_all(_at_least(400), _details(_OF_A_ROUTE)), "%LOCAL_REPLY_BODY%")]
    cases += [(_equals(status), text) for status, text in _TEXTS.items()]
    cases += [(_all(_at_least(400), _details(_EXPLAINED)), "%LOCAL_REPLY_BODY%"), (_at_least(400), "Bad request")]
    ready = {
        "filter": _details(_READY),
        "body_format_override": {"json_format": {"status": "ok"}},
        "headers_to_add": added,
    }
    return {"mappers": [ready, *(mapper for condition, text in cases for mapper in _mappers(condition, text, added))]}


def _mappers(condition: Config, text: str, added: list[Config]) -> list[Config]:
    grpc_caller = _all(condition, _header(_GRPC_CALLER), _header({**_TRANSCODED, "invert_match": True}))
    later = text == _TEXTS[503]
    json_headers = [*added, header("retry-after", str(RETRY_SECONDS))] if later else added
    grpc_headers = [*added, header("grpc-status-details-bin", _unavailable(text))] if later else added
    return [
        {"filter": grpc_caller, "body_format_override": _plain(text), "headers_to_add": grpc_headers},
        {"filter": condition, "body_format_override": {"json_format": {"error": text}}, "headers_to_add": json_headers},
    ]


def _unavailable(text: str) -> str:
    """What gRPC callers find the time to wait in."""
    status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message=text)
    status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=RETRY_SECONDS)))
    return base64.b64encode(status.SerializeToString()).decode()


def _plain(text: str) -> Config:
    return {"text_format_source": {"inline_string": text}}


def _all(*conditions: Config) -> Config:
    return {"and_filter": {"filters": list(conditions)}}


def _header(matcher: Config) -> Config:
    return {"header_filter": {"header": matcher}}


def _details(expression: str) -> Config:
    name = "envoy.access_loggers.extension_filters.cel"
    return {
        "extension_filter": extension(
            name, "extensions.access_loggers.filters.cel.v3.ExpressionFilter", expression=expression
        )
    }


def _equals(status: int) -> Config:
    return {"status_code_filter": {"comparison": _comparison("EQ", status)}}


def _at_least(status: int) -> Config:
    return {"status_code_filter": {"comparison": _comparison("GE", status)}}


def _comparison(operator: str, status: int) -> Config:
    # The runtime key is required and never set.
    return {"op": operator, "value": {"default_value": status, "runtime_key": f"gateway.status.{operator}.{status}"}}
