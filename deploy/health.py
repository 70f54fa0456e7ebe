"""The health check of a container: 0 while what its first process does is done well, else 1 with the reason."""

import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

from deploy.roles import SERVICES, role_of

_SECONDS = 3.0


def main() -> int:
    """Asks the process over loopback; a role that nobody calls is healthy while it runs."""
    words = Path("/proc/1/cmdline").read_text().split("\0")
    match role_of(words):
        case role if role in SERVICES:
            return _serving(_near(_probed()))
        case "exec_bridge":
            return _answers(f"http://{_near(_probed())}/healthz")
        case "gateway":
            scheme = "https" if os.environ.get("GATEWAY_TLS_CERT_FILE") else "http"
            return _answers(f"{scheme}://127.0.0.1:{os.environ.get('GATEWAY_PORT', '9292')}/healthz")
        case _:
            return 0


def _probed() -> str:
    """With TLS between the parts, probes have an address of their own."""
    return os.environ.get("HEALTH_ADDRESS") or os.environ["LISTEN_ADDRESS"]


def _serving(address: str) -> int:
    # The image of the agent has no health service to ask with, and needs none.
    import grpc  # noqa: PLC0415
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415

    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=_SECONDS)
        except grpc.RpcError as error:
            sys.stderr.write(f"{address}: {error}\n")
            return 1
    return int(answer.status != health_pb2.HealthCheckResponse.SERVING)


def _answers(url: str) -> int:
    # The certificate is for the name that clients use, not for this address.
    unverified = ssl._create_unverified_context()  # noqa: S323
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS, context=unverified) as answer:  # noqa: S310
            return int(answer.status != 200)
    except (OSError, urllib.error.URLError) as error:
        sys.stderr.write(f"{url}: {error}\n")
        return 1


def _near(listen: str) -> str:
    """Where a listener on all addresses is reached from its own container."""
    host, _, port = listen.rpartition(":")
    return f"{'127.0.0.1' if host in ('', '0.0.0.0', '[::]') else host}:{port}"  # noqa: S104


if __name__ == "__main__":
    sys.exit(main())
