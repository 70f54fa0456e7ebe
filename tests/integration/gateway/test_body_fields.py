"""The header that tells services which members a JSON body had."""

import json
import re
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kontena.deploy.v1 import service_pb2
from tests.integration.gateway.conftest import Caller, raw

PATH = "/v1/services/g/s/web"
PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")


def listed(call: Caller) -> list[str]:
    return [name for name in call.seen.metadata["x-body-fields"].split(",") if name]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{}", []),
        ("", []),
        (' \t\r\n{ "env" : [ ] } ', ["env"]),
        ('{"env":null,"deploy_opts":{"interval":1,"x":{}}}', "env! deploy_opts deploy_opts.interval deploy_opts.x"),
        ('{"deploy_opts":{"interval": null,"a":"null"}}', "deploy_opts deploy_opts.interval! deploy_opts.a"),
        ('{"env":["{\\"a\\":1}","}"],"user":"\\\\"}', "env user"),
        ('{"\\u0065nv":[],"deploy_opts":{"\\u0069nterval":1}}', "env deploy_opts deploy_opts.interval"),
        ('{"\\\\u0065nv":1,"e\\u006ev":[]}', "env"),
        ('{"a,b":1,"a.b":{"c":1},"é":1,"\\n":1,"x y":1,"\\u00e9":2,"\\u0000":3,"ok":1}', "ok"),
        ('{"env":[],"env":[]}', "env"),
        ('{"log_opts":{"max-size":"1"},"hooks":[{"name":"x"}]}', "log_opts hooks log_opts.max-size"),
        ('{"initial-size":3}', "initial-size"),
        ('{"user":"\\ud83d\\ude00 \\/ \\b","cpus":-0.5e+3,"x":[true,false,null,0,-1.5E2]}', "user cpus x"),
    ],
)  # fmt: skip
def test_members_are_listed(call: Caller, body: str, expected: Any) -> None:
    response = call("PUT", PATH, body)
    assert response.status_code == 200, response.text
    assert sorted(listed(call)) == sorted(expected if isinstance(expected, list) else expected.split())


def test_no_body_is_an_empty_object(call: Caller) -> None:
    call("PUT", PATH)
    assert call.seen.metadata["x-body-fields"] == ""
    assert call.seen.message.HasField("service")
    call("POST", PATH + "/start")
    assert call.seen.message.id == "g/s/web"


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "nonsense", ""])
def test_content_type_does_not_matter(call: Caller, content_type: str | None) -> None:
    call("PUT", PATH, {"image": "a"}, **({} if content_type is None else {"content_type": content_type}))
    assert call.seen.message.service.image == "a"
    assert listed(call) == ["image"]


def test_header_stays_small_and_keeps_the_first_level(call: Caller) -> None:
    nested = {"free": {f"key{number}": 1 for number in range(2000)}, "image": "a"}
    assert call("PUT", PATH, nested).status_code == 200
    assert len(call.seen.metadata["x-body-fields"]) <= 2048
    assert {"free", "image"} < set(listed(call))
    assert call("PUT", PATH, {"n" * 65: 1, "image": "a"}).status_code == 200
    assert listed(call) == ["image"]


def test_big_body(call: Caller) -> None:
    body = {"image": "x" * 100_000, "env": ['\\"{[' * 10] * 4_000, "user": "u"}
    assert call("PUT", PATH, body).status_code == 200
    assert listed(call) == ["image", "env", "user"]
    assert len(call.seen.message.service.env) == 4_000


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_client_cannot_send_it(call: Caller, method: str) -> None:
    call(method, PATH, {} if method == "PUT" else None, x_body_fields="env", x_http_status="299", x_error_json="{}")
    assert call.seen.metadata.get("x-body-fields", "") == ""
    assert not {"x-http-status", "x-error-json"} & set(call.seen.metadata)


def test_grpc_client_cannot_send_it(call: Caller, channel: grpc.Channel) -> None:
    update = raw(channel, "unary_unary", "/kontena.deploy.v1.ServiceService/UpdateService")
    request = service_pb2.UpdateServiceRequest(id="g/s/web").SerializeToString()
    update(request, metadata=(("x-body-fields", "env"), ("x-request-id", "grpc-1"), ("x-error-json", "{}")))
    assert not {"x-body-fields", "x-error-json"} & set(call.echo.calls["grpc-1"].metadata)


NAMES = st.one_of(
    st.sampled_from(["env", "image", "deploy_opts", "min_health", "a.b", "a,b", "max-size", "é", "n" * 70, "x\ny"]),
    st.text(min_size=1, max_size=6),
)
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.floats(-1e9, 1e9) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def expected_paths(document: dict[str, Any]) -> set[str]:
    plain = {name: value for name, value in document.items() if PLAIN.fullmatch(name)}
    paths = dict(plain)
    for name, value in plain.items():
        if isinstance(value, dict):
            paths |= {f"{name}.{inner}": found for inner, found in value.items() if PLAIN.fullmatch(inner)}
    return {path if value is not None else f"{path}!" for path, value in paths.items()}


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(document=st.dictionaries(NAMES, VALUES, max_size=6), ascii_only=st.booleans(), indent=st.sampled_from([None, 2]))
def test_agrees_with_a_json_parser(
    call: Caller, document: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    # The one Value field takes anything, so that the transcoder accepts every document.
    text = json.dumps({"cmd": document, "unknown": document}, ensure_ascii=ascii_only, indent=indent)
    response = call("PUT", PATH, text)
    assert response.status_code == 200, (text, response.text)
    assert set(listed(call)) == expected_paths({"cmd": document, "unknown": document})
