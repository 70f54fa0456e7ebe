"""Pings keep idle connections known to be alive; a side that takes them for abuse closes the connection instead."""

from collections.abc import Iterable

import pytest

from agent.streams import calls
from gateway.clusters import cluster
from gateway.settings import Endpoint, GatewaySettings
from services.kernel import client, server

SERVER = dict(server.OPTIONS)


@pytest.mark.parametrize("options", [client.OPTIONS, calls.OPTIONS], ids=["services", "agent"])
def test_clients_ping_no_faster_than_servers_allow(options: Iterable[tuple[str, int]]) -> None:
    ours = dict(options)
    assert ours["grpc.keepalive_time_ms"] >= 2 * SERVER["grpc.http2.min_recv_ping_interval_without_data_ms"]
    assert ours["grpc.keepalive_timeout_ms"] < ours["grpc.keepalive_time_ms"]
    # Between two calls too: the next one must not be the first to find out that the other side is gone.
    assert ours["grpc.keepalive_permit_without_calls"] == SERVER["grpc.keepalive_permit_without_calls"] == 1


def test_servers_never_close_a_connection_for_its_pings() -> None:
    assert SERVER["grpc.http2.max_ping_strikes"] == 0


def test_envoy_pings_no_faster_than_servers_allow() -> None:
    (protocol,) = cluster("grid", [Endpoint("127.0.0.1", 1)], GatewaySettings())[
        "typed_extension_protocol_options"
    ].values()
    keepalive = protocol["explicit_http_config"]["http2_protocol_options"]["connection_keepalive"]
    allowed = SERVER["grpc.http2.min_recv_ping_interval_without_data_ms"] / 1000
    assert float(keepalive["interval"].removesuffix("s")) >= allowed
