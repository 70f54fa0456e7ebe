"""Numbers and booleans where a text is wanted arrive as the text they are written as; everything else as it stands."""

import json

import pytest
from google.protobuf import json_format

from tests.integration.gateway.conftest import Caller

PATH = "/v1/services/g/s/web"


@pytest.mark.parametrize(
    ("body", "arrives"),
    [
        ('{"user": 1000}', {"user": "1000"}),
        ('{"user":-1.50e3 , "image" : true}', {"user": "-1.50e3", "image": "true"}),
        ('{"env": [1, "A=1", false , 2.5]}', {"env": ["1", "A=1", "false", "2.5"]}),
        (
            '{"secrets": [{"secret": 5, "name": "N", "type": "env"}]}',
            {"secrets": [{"secret": "5", "name": "N", "type": "env"}]},
        ),
        ('{"log_opts": {"max-file": 3}}', {"log_opts": {"max-file": 3.0}}),
        ('{"instances": 3, "stateful": true}', {"instances": 3, "stateful": True}),
        ('{"user": null, "instances": 2}', {"instances": 2}),
        ('{"image": "5", "instances": "2"}', {"image": "5", "instances": 2}),
        ('{"nobody_knows": {"user": [1, {"env": 2}]}, "image": "x"}', {"image": "x"}),
    ],
)
def test_in_a_service(call: Caller, body: str, arrives: dict[str, object]) -> None:
    response = call("PUT", PATH, body.encode())
    assert response.status_code == 200, response.text
    message = json_format.MessageToDict(call.seen.message, preserving_proto_field_name=True)
    assert message["service"] == arrives


def test_a_secret_of_digits_is_a_secret(call: Caller) -> None:
    response = call("POST", "/v1/grids/g/secrets", b'{"name": "PIN", "value": 0}')
    assert response.status_code in (200, 201), response.text
    assert call.seen.message.value == "0"


def test_values_of_a_map_of_texts(call: Caller) -> None:
    call("POST", "/v1/grids", b'{"name":"g","logs":{"forwarder":"fluentd","opts":{"port":24224}}}')
    assert dict(call.seen.message.logs.opts) == {"port": "24224"}


@pytest.mark.parametrize("body", ['{"variables": {"user": 5}}', '{"metadata": {"version": true}}'])
def test_free_documents_keep_their_numbers(call: Caller, body: str) -> None:
    call("PUT", "/v1/stacks/g/s", body.encode())
    message = json_format.MessageToDict(call.seen.message, preserving_proto_field_name=True)
    name, expected = next(iter(json.loads(body).items()))
    assert message["stack"][name] == expected


def test_the_configuration_keeps_its_numbers(call: Caller) -> None:
    call("PATCH", "/v1/config", b'{"user": 5, "name": true}')
    assert json_format.MessageToDict(call.seen.message)["values"] == {"user": 5.0, "name": True}
