"""Takes this gateway out of service without a failed request, before its Envoy is stopped."""

import json
import time

import httpx

from gateway.settings import GatewaySettings

_POLL_SECONDS = 0.1


def drain(settings: GatewaySettings, *, notice: float, limit: float) -> int:
    """From now on `/readyz` is 503, and each answer asks its client to connect again. Returns how many connections are
    left, once that is 0 and load balancers had `notice` seconds, or after `limit` seconds. Raises OSError when no Envoy
    answers."""
    socket = settings.admin_socket
    if not socket.exists():
        raise OSError(f"no Envoy has its admin interface at {socket}")
    started = time.monotonic()
    try:
        with httpx.Client(base_url="http://admin", transport=httpx.HTTPTransport(uds=str(socket)), timeout=5) as client:
            client.post("/healthcheck/fail").raise_for_status()
            while True:
                left, passed = _connections(client), time.monotonic() - started
                if passed >= limit or (passed >= notice and not left):
                    return left
                time.sleep(_POLL_SECONDS)
    except httpx.HTTPError as error:
        raise OSError(f"Envoy's admin interface at {socket}: {error}") from error


def _connections(client: httpx.Client) -> int:
    text = client.get("/stats?filter=^http.public.downstream_cx_active$&format=json").raise_for_status().text
    return sum(int(stat["value"]) for stat in json.loads(text)["stats"])
