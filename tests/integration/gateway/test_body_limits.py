"""A body is as large as the RPC behind its path takes, and no larger one reaches anything that looks into it."""

import json

import pytest

from tests.integration.gateway.conftest import Caller
from tests.integration.gateway.proxy import Gateway
from tests.integration.gateway.wire import connect

KIBIBYTE = 1024
LIMITS = {
    "POST /v1/grids": 64,
    "PUT /v1/services/g/s/web": 512,
    "POST /v1/grids/g/services": 512,
    "PUT /v1/stacks/g/s": 4096,
    "POST /v1/grids/g/stacks": 4096,
    "POST /v1/grids/g/secrets": 1024,
    "POST /v1/containers/g/n/web-1/exec": 256,
}


@pytest.mark.parametrize("form", LIMITS)
def test_limits(call: Caller, form: str) -> None:
    verb, path = form.split()
    size = LIMITS[form] * KIBIBYTE
    fits = call(verb, path, '{"x":"' + "x" * (size - 9) + '"}')
    assert fits.status_code < 300, fits.text
    larger = call(verb, path, '{"x":"' + "x" * size + '"}')
    assert (larger.status_code, larger.json()) == (413, {"error": "Request body too large"})
    assert call.last is None


def test_a_body_without_a_length_has_the_same_limit(gateway: Gateway) -> None:
    with connect(gateway.target) as connection:
        connection.sock.sendall(b"POST /v1/grids HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n%s\r\n" % (8192, b"[" * 8192)
        for _ in range(9):
            connection.sock.sendall(chunk)
        status, headers = connection.head()
        assert (status, json.loads(connection.body(headers))) == (413, {"error": "Request body too large"})


def test_a_path_that_is_none_takes_little(call: Caller) -> None:
    assert call("POST", "/v1/nothing", "{}").status_code == 404
    assert call("POST", "/v1/nothing", '{"x":"' + "x" * 70_000 + '"}').status_code == 413
