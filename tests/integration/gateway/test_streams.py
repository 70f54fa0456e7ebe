"""Streams of raw bodies: what log followers rely on (docs/spec/client_contract.md section 5)."""

import json
import socket

import grpc
import pytest

from tests.integration.gateway.conftest import Caller, raw
from tests.integration.gateway.proxy import Gateway
from tests.integration.gateway.wire import connect

LOGS = "/v1/services/g/s/web/container_logs"


def test_each_message_is_one_chunk_even_in_a_burst(gateway: Gateway) -> None:
    with connect(gateway.target) as connection:
        connection.send("GET", f"{LOGS}?follow=1", x_test=json.dumps({"burst": 5000}))
        status, headers = connection.head()
        assert (status, headers["content-type"]) == (200, "application/json")
        chunks = list(connection.chunks())
    assert [json.loads(chunk)["id"] for chunk in chunks] == [str(number) for number in range(5000)]


def test_slow_reader_gets_whole_chunks(gateway: Gateway) -> None:
    with connect(gateway.target) as connection:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        connection.send("GET", LOGS, x_test=json.dumps({"burst": 10000}))
        connection.head()
        count = sum(1 for chunk in connection.chunks() if json.loads(chunk))
    assert count == 10000


def test_bodies_are_passed_unchanged(call: Caller) -> None:
    bodies = ["one\n", "\n", '{"a": 1}\r\n', "no newline"]
    response = call("GET", LOGS, plan={"bodies": bodies, "content_type": "text/plain; charset=utf-8"})
    assert response.text == "".join(bodies)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


def test_stream_may_be_empty(call: Caller) -> None:
    response = call("GET", LOGS)
    assert (response.status_code, response.text) == (200, "")


def test_first_body_arrives_before_the_stream_ends(gateway: Gateway) -> None:
    with connect(gateway.target) as connection:
        connection.send("GET", LOGS, x_test=json.dumps({"bodies": ["first\n"], "then_wait": True}))
        connection.head()
        assert next(connection.chunks()) == b"first\n"


def test_leaving_client_ends_the_rpc(call: Caller, gateway: Gateway) -> None:
    with connect(gateway.target) as connection:
        plan = {"bodies": ["first\n"], "then_wait": True}
        connection.send("GET", LOGS, x_test=json.dumps(plan), x_request_id="leaving")
        connection.head()
    assert call.echo.calls["leaving"].ended.wait(60)


def test_error_after_the_first_message_ends_the_stream(call: Caller) -> None:
    response = call("GET", LOGS, plan={"bodies": ["one\n", "two\n"], "after": 1, "abort": ["INTERNAL", "late"]})
    # The status has left already and nothing is made up; for HTTP/1.1 this is a normal end (README.md).
    assert (response.status_code, response.text) == (200, "one\n")


def test_connection_is_reused_after_a_stream(gateway: Gateway) -> None:
    with connect(gateway.target) as connection:
        for _ in range(3):
            connection.send("GET", LOGS, x_test=json.dumps({"bodies": ["a\n", "b\n"]}))
            connection.head()
            assert list(connection.chunks()) == [b"a\n", b"b\n"]
            connection.send("GET", "/v1/grids/g", x_test=json.dumps({"abort": ["NOT_FOUND", "no"]}))
            status, headers = connection.head()
            assert (status, json.loads(connection.body(headers))) == (404, {"error": "no"})


def test_grpc_stream_passes(channel: grpc.Channel) -> None:
    logs = raw(channel, "unary_stream", "/kontena.deploy.v1.ContainerLogService/ListServiceLogs")
    assert sum(1 for _ in logs(b"", metadata=(("x-test", '{"burst": 500}'),))) == 500
    with pytest.raises(grpc.RpcError) as raised:
        list(logs(b"", metadata=(("x-test", '{"bodies": ["a", "b"], "after": 1, "abort": ["ABORTED", "late"]}'),)))
    assert raised.value.details() == "late"
