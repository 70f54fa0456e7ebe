"""The access log: one JSON document per request, without credentials, bodies or query strings."""

from gateway.settings import GatewaySettings
from gateway.typed import Config, extension

_FIELDS = {
    "time": "%START_TIME%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "method": "%REQ(X-ENVOY-ORIGINAL-METHOD?:METHOD)%",
    "path": "%PATH(NQ:ORIG_OR_PATH)%",
    "rpc": "%PATH(NQ:PATH)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "grpc_status": "%GRPC_STATUS%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "duration_ms": "%DURATION%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "user_agent": "%REQ(USER-AGENT):256%",
    "upstream": "%UPSTREAM_HOST%",
}
# What follows in the path is the id of a token, or a token: people paste either, and mistype the rest.
_MASKED_PATHS = "(?i)/+oauth2/+tokens?/.*"
_MASKED = "/oauth2/tokens/[masked]"


def access_log(settings: GatewaySettings) -> list[Config]:
    """Written to `settings.access_log_path`; nowhere when that is empty. Each request passes exactly one filter."""
    if not settings.access_log_path:
        return []
    # The transcoder puts the RPC in the place of the path and the path into a header.
    path, original = ":path", "x-envoy-original-path"
    return [
        _log(settings, {}, _has_token(path, wanted=False), _has_token(original, wanted=False)),
        _log(settings, {"path": _MASKED}, _has_token(path, wanted=False), _has_token(original)),
        _log(settings, {"path": _MASKED, "rpc": _MASKED}, _has_token(path)),
    ]


def _log(settings: GatewaySettings, changed: dict[str, str], *conditions: Config) -> Config:
    log = extension(
        "envoy.access_loggers.file",
        "extensions.access_loggers.file.v3.FileAccessLog",
        path=settings.access_log_path,
        log_format={"json_format": {**_FIELDS, **changed}},
    )
    only = conditions[0] if len(conditions) == 1 else {"and_filter": {"filters": list(conditions)}}
    return {**log, "filter": only}


def _has_token(name: str, *, wanted: bool = True) -> Config:
    """Whether the header holds a path with a token in it, or does not."""
    header: Config = {"name": name, "string_match": {"safe_regex": {"regex": _MASKED_PATHS}}}
    if not wanted:
        # A header that is not there would match neither way otherwise.
        header |= {"invert_match": True, "treat_missing_header_as_empty": True}
    return {"header_filter": {"header": header}}
