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


def access_log(settings: GatewaySettings) -> list[Config]:
    """Written to `settings.access_log_path`; nowhere when that is empty."""
    if not settings.access_log_path:
        return []
    return [
        extension(
            "envoy.access_loggers.file",
            "extensions.access_loggers.file.v3.FileAccessLog",
            path=settings.access_log_path,
            log_format={"json_format": _FIELDS},
        )
    ]
