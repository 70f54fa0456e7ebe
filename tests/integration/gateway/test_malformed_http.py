"""What is not quite HTTP: a JSON error, and no second reading of it by anybody behind the gateway."""

import json

import pytest

from tests.integration.gateway.conftest import Caller
from tests.integration.gateway.proxy import Gateway
from tests.integration.gateway.wire import connect

GET, POST = "GET /v1/grids HTTP/1.1\r\nhost: x\r\n", "POST /v1/grids HTTP/1.1\r\nhost: x\r\n"
REFUSED: dict[str, tuple[str, int]] = {
    "two framings": (f"{POST}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (f"{POST}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}x", 400),
    "negative length": (f"{POST}content-length: -2\r\n\r\n{{}}", 400),
    "length in words": (f"{POST}content-length: two\r\n\r\n{{}}", 400),
    "no chunk size": (f"{POST}transfer-encoding: chunked\r\n\r\nzz\r\n\r\n", 400),
    "coding before chunked": (f"{POST}transfer-encoding: gzip\r\n\r\n", 501),
    "coding after chunked": (f"{POST}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501),
    "no host": ("GET /v1/grids HTTP/1.1\r\n\r\n", 400),
    "strange host": ("GET /v1/grids HTTP/1.1\r\nhost: a b/c@d\r\n\r\n", 400),
    "unknown method": ("FOO /v1/grids HTTP/1.1\r\nhost: x\r\n\r\n", 400),
    "method of bytes": ("G\xffT /v1/grids HTTP/1.1\r\nhost: x\r\n\r\n", 400),
    "tunnel": ("CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n", 404),
    "path without slash": ("GET v1/grids HTTP/1.1\r\nhost: x\r\n\r\n", 400),
    "nothing but a star": ("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", 404),
    "NUL in the path": ("GET /v1/gr\x00ids HTTP/1.1\r\nhost: x\r\n\r\n", 400),
    "bytes in the path": ("GET /v1/grids/\xff HTTP/1.1\r\nhost: x\r\n\r\n", 400),
    "fragment": ("GET /v1/grids#x HTTP/1.1\r\nhost: x\r\n\r\n", 400),
    "space in a name": (f"{GET}x a: 1\r\n\r\n", 400),
    "space before a colon": (f"{GET}x-a : 1\r\n\r\n", 400),
    "NUL in a value": (f"{GET}x-a: \x001\r\n\r\n", 400),
    "200 headers": (GET + "".join(f"x-{number}: 1\r\n" for number in range(200)) + "\r\n", 431),
    "path of 30 KB": (f"GET /v1/{'a' * 30_000} HTTP/1.1\r\nhost: x\r\n\r\n", 431),
    "TLS on a plain port": ("\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", 400),
    "noise": ("\x00\x01\x02\x03\r\n\r\n", 400),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_with_json(gateway: Gateway, call: Caller, case: str) -> None:
    text, expected = REFUSED[case]
    call.echo.calls.clear()
    with connect(gateway.target) as connection:
        connection.sock.sendall(text.encode("latin-1"))
        status, headers = connection.head()
        assert (status, headers["content-type"]) == (expected, "application/json")
        assert json.loads(connection.body(headers))["error"]
        assert headers["x-kontena-version"]
    assert call.echo.calls == {}


SMUGGLED = {
    "trailer": f"{POST}transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\nx-body-fields: evil\r\n\r\n",
    "folded line": f"{GET}x-a: 1\r\n x-body-fields: evil\r\n\r\n",
    "connection header": f"{GET}connection: keep-alive, x-b\r\nx-b: 1\r\nx-body-fields: evil\r\n\r\n",
    "second host": f"{GET}host: evil\r\n\r\n",
    "address as path": "GET http://evil/v1/grids HTTP/1.1\r\nhost: x\r\n\r\n",
    "carriage return in the path": "GET /v1/nodes/g/a%0d%0ax-body-fields:evil HTTP/1.1\r\nhost: x\r\n\r\n",
}


@pytest.mark.parametrize("case", SMUGGLED)
def test_it_smuggles_nothing_past_the_gateway(gateway: Gateway, call: Caller, case: str) -> None:
    call.echo.calls.clear()
    with connect(gateway.target) as connection:
        connection.sock.sendall(SMUGGLED[case].encode())
        assert connection.head()[0] == 200
    (seen,) = {id(found): found for found in call.echo.calls.values()}.values()
    assert seen.metadata.get("x-body-fields", "") == ""
    assert "x-b" not in seen.metadata
