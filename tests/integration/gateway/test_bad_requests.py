"""Requests that must be refused: always with JSON, never with 500, never seen by a service."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.gateway.conftest import Caller

PATH = "/v1/services/g/s/web"

NOT_JSON = [
    "{", "}", "[]", "[{}]", '"x"', "null", "5", "true", "x", "{a:1}", "{'a':1}", '{"a":1,}', '{"a":1}x', '{"a":1}{}',
    '{"a"}', '{"a":}', '{"a" 1}', '{"a":1 "b":2}', '{,}', '{"a":[1,]}', '{"a":[1 2]}', '{"a":[}', '{"a":{"b":1]}',
    '{"a":01}', '{"a":+1}', '{"a":.5}', '{"a":1.}', '{"a":1e}', '{"a":NaN}', '{"a":Infinity}', '{"a":tru}', '{"a":nul',
    '{"a":"x}', '{"a":"\\x"}', '{"a":"\\u12"}', '{"a":"x\ny"}', '{"a":"\t"}', '{"a\x00":1}', "\x00", "\ufeff{}", "//",
    "{/**/}", '{"a":' + "[" * 40 + "]" * 40 + "}", "[" * 200_000, '{"a":' * 100_000,
    b"\xff", b'{"a":"\xff"}', b'{"a":"\xc0\x80"}', b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\xf5\x80\x80\x80"}', b'{"a":"\xe2\x82"}', b'{"a":"\xe2"}',
]  # fmt: skip


@pytest.mark.parametrize("body", NOT_JSON, ids=lambda body: repr(body[:20]))
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_body_that_is_no_json_object(call: Caller, method: str, body: str | bytes) -> None:
    response = call(method, PATH, body.encode() if isinstance(body, str) else body)
    assert (response.status_code, response.json()) == (400, {"error": "Invalid json"})
    assert response.headers["content-type"] == "application/json"
    assert call.last is None


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"image": ["x"]}, "service"),
        ({"instances": "x"}, "service.instances"),
        ({"instances": 3.5}, "service.instances"),
        ({"instances": 2**40}, "service.instances"),
        ({"stateful": 1}, "service.stateful"),
        ({"deploy_opts": []}, "service"),
        ({"deploy_opts": 5}, "service.deploy_opts"),
        ({"env": {"A": "1"}}, "service"),
        ({"secrets": ["x"]}, "service.secrets[0]"),
    ],
)
def test_value_of_the_wrong_type_is_named(call: Caller, body: object, named: str) -> None:
    response = call("PUT", PATH, body)
    assert response.status_code == 400
    assert response.json()["error"].startswith(named)
    assert call.last is None


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/grids", '{"logs":{"opts":{"a":{}}}}'),
        ("POST", "/v1/grids", '{"name":"\\ud800"}'),
        ("POST", "/v1/grids", '{"":1}'),
        ("GET", "/v1/nodes/g/%FF", None),
        ("GET", "/v1/nodes/g/%00", None),
        ("GET", "/v1/services/g/s/web/container_logs?since=%FF", None),
        ("GET", "/v1/grids", "garbage"),
    ],
)
def test_what_only_looks_right_is_400_too(call: Caller, method: str, path: str, body: str | None) -> None:
    response = call(method, path, body)
    assert response.status_code == 400, response.text
    assert isinstance(response.json()["error"], str)
    assert call.last is None


SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("method", "body", "error"),
    [
        ("PUT", f'{{"image":"{SECRET}\\ud800"}}', "Invalid json"),
        ("PUT", f'{{"image":"{SECRET}\\udc00\\ud800"}}', "Invalid json"),
        ("PUT", f'{{"image":"{SECRET}","x":1e999}}', "Invalid json"),
        ("PUT", f'{{"instances":"{SECRET}"}}', "service.instances: isn't of the type int32"),
        ("PUT", f'{{"stateful":"\\"{SECRET}\\n"}}', "service.stateful: isn't of the type bool"),
        ("GET", SECRET, "Invalid json"),
        ("DELETE", SECRET, "Invalid json"),
    ],
)
def test_no_error_repeats_what_the_body_holds(call: Caller, method: str, body: str, error: str) -> None:
    response = call(method, PATH, body)
    assert (response.status_code, response.json()) == (400, {"error": error})


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ('{"env":["A=1"]}', "Proto field is not repeating, cannot start list."),
    ],
)
def test_errors_begin_with_words_where_the_transcoder_names_no_member(call: Caller, body: str, error: str) -> None:
    response = call("POST", f"{PATH}/envs", body)
    assert (response.status_code, response.json()) == (400, {"error": error})


@pytest.mark.parametrize("path", [PATH, "/oauth2/token"])
def test_oversize_is_413(call: Caller, path: str) -> None:
    method = "PUT" if path == PATH else "POST"
    response = call(method, path, '{"image":"' + "x" * (5 << 20) + '"}')
    assert (response.status_code, response.json()) == (413, {"error": "Request body too large"})
    assert call.last is None


def test_big_headers_are_431(call: Caller) -> None:
    # A service limits them from the second request of a connection on: its limit travels with the first answer.
    assert call("GET", "/v1/grids").status_code == 200
    for size in (20_000, 14_000):
        response = call("GET", "/v1/grids", x_big="a" * size)
        assert (response.status_code, response.json()) == (431, {"error": "Request headers too large"})
    assert call("GET", "/v1/grids", x_big="a" * 6_000).status_code == 200


def test_nested_as_deep_as_services_parse(call: Caller) -> None:
    assert call("PUT", PATH, '{"cmd":' + '{"a":' * 30 + "1" + "}" * 30 + "}").status_code == 200
    assert call("PUT", PATH, '{"cmd":' + "[" * 31 + "]" * 31 + "}").status_code == 200


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.binary(max_size=40) | st.text(alphabet='{}[]":,\\ue10.-+ tnfx\n', max_size=30).map(str.encode))
def test_no_body_causes_a_500(call: Caller, body: bytes) -> None:
    response = call("PUT", PATH, b'{"cmd":' + body + b"}")
    assert response.status_code in {200, 400}, response.text
    assert response.headers["content-type"] == "application/json"
