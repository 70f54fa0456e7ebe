"""The document says exactly what the descriptors say. It is generated, so these tests are what keeps it true."""

import json
import re
from typing import Any

import jsonschema_rs
import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from gateway import catalog
from gateway.openapi.comments import clean
from gateway.openapi.document import document
from gateway.openapi.examples import Example, examples
from gateway.openapi.paths import openapi_path
from gateway.openapi.sections import section
from gateway.own_answers import facts
from gateway.settings import GatewaySettings
from kontena.common.v1 import options_pb2
from kontena.deploy.v1 import service_pb2
from tests.support.suite import REPOSITORY

SETTINGS = GatewaySettings()
DESCRIPTORS = catalog.load_descriptors(SETTINGS.descriptors)
DOCUMENT = document(SETTINGS, DESCRIPTORS)
OPERATIONS = {
    (verb.upper(), path): operation for path, item in DOCUMENT["paths"].items() for verb, operation in item.items()
}
BINDINGS = [
    (binding, method)
    for service in catalog.services(DESCRIPTORS)
    if service.public
    for method in service.methods
    for binding in method.bindings
]
REFERENCE = (REPOSITORY / "docs/api-reference.md").read_text()


POOL = descriptor_pool.DescriptorPool()
for _file in DESCRIPTORS.file:
    POOL.Add(_file)


def shape(path: str) -> str:
    """A path without the names of its parameters; a variable of several segments is several."""
    return re.sub(r"\{[\w.]+(?:=([^}]*))?\}", lambda match: re.sub(r"[^/]+", "*", match[1] or "*"), path)


def documented(line: str) -> tuple[str, str]:
    """The operation of a request line of the reference."""
    verb, target = line.split()
    path = target.partition("?")[0]
    # What is written out wins over a parameter.
    found = [one for one in OPERATIONS if one[0] == verb and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", one[1]), path)]
    return min(found, key=lambda one: one[1].count("{"))


def test_it_is_openapi() -> None:
    # Takes seconds to load, which processes that only collect this test need not wait for.
    from openapi_spec_validator import validate  # noqa: PLC0415

    validate(DOCUMENT)


def test_it_is_the_same_every_time() -> None:
    assert json.dumps(document(SETTINGS, DESCRIPTORS)) == json.dumps(DOCUMENT)


def test_every_rest_form_of_a_public_rpc_is_there_once_and_nothing_else_is() -> None:
    expected = sorted((binding.verb, shape(binding.template)) for binding, _ in BINDINGS)
    assert len(expected) == len(set(expected))
    own = [*(answer.path for answer in facts()), "/readyz", "/openapi.json"]
    found = sorted((verb, shape(path)) for verb, path in OPERATIONS)
    assert found == sorted([*expected, *(("GET", path) for path in own)])


def test_operation_ids_are_unique() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("verb", "path"), OPERATIONS, ids=" ".join)
def test_an_operation_is_described(verb: str, path: str) -> None:
    operation = OPERATIONS[verb, path]
    assert operation["summary"]
    assert all(parameter["description"] for parameter in operation.get("parameters", []))
    in_path = [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"]
    assert in_path == re.findall(r"\{(\w+)\}", path)
    assert not re.search(r"\w+_\d\b", " ".join(in_path)), "say `grid/name` in the comment of the field"


def test_every_message_and_field_is_described() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        if "." in name:
            assert schema["description"], name
            bare = [field for field, value in schema["properties"].items() if "description" not in value]
            assert bare == [], name


def test_no_reference_to_pages_of_the_repository() -> None:
    assert not re.search(r"\bdocs/", json.dumps(DOCUMENT))


def test_only_open_rpcs_need_no_token() -> None:
    opened = {(binding.verb, shape(binding.template)) for binding, method in BINDINGS if method.open}
    for (verb, path), operation in OPERATIONS.items():
        free = operation["security"] == []
        assert free == ((verb, shape(path)) in opened or operation["tags"] == ["Gateway"]), path
        assert ("401" in operation["responses"]) != free, path


def test_internal_rpcs_are_not_there() -> None:
    text = json.dumps(DOCUMENT)
    for service in catalog.services(DESCRIPTORS):
        if not service.public:
            assert service.name.rpartition(".")[2] not in text


def test_query_parameters_are_not_shadowed() -> None:
    """The gateway drops query parameters that are path variables anywhere: such a field would never arrive."""
    variables = set(catalog.path_variables(catalog.services(DESCRIPTORS)))
    shadowed = []
    for binding, method in BINDINGS:
        service, _, name = method.path.strip("/").rpartition("/")
        fields = POOL.FindServiceByName(service).methods_by_name[name].input_type.fields
        if not binding.body:
            left = {field.name for field in fields} - set(binding.variables)
            shadowed += [(binding.template, field) for field in left & variables]
    assert shadowed == []


@pytest.mark.parametrize(
    ("template", "comment", "expected"),
    [
        ("/v1/nodes/{id=*/*}", "`grid/name` or `grid/engine-id`.", "/v1/nodes/{grid}/{name}"),
        ("/v1/s/{id=*/*/*}/x/{deploy_id}", "`grid/stack/service`.", "/v1/s/{grid}/{stack}/{service}/x/{deploy_id}"),
        ("/v1/x/{id=*/*}", "No example.", "/v1/x/{id_1}/{id_2}"),
        ("/v1/etcd/{grid}/{key=**}", "", "/v1/etcd/{grid}/{key}"),
    ],
)  # fmt: skip
def test_path_parts_are_named_by_comments(template: str, comment: str, expected: str) -> None:
    assert openapi_path(template, lambda _: comment)[0] == expected


def test_comments_lose_their_references() -> None:
    assert clean(" Port opens a port.\n docs/spec/vault.md section 2. Default 1.\n") == "Port opens a port. Default 1."


def filled(message: Any, depth: int = 0) -> None:
    """Set every field to something, messages two levels deep."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None:
            value: Any = {"string": "x", "bytes": b"x", "bool": True}.get(_kind(field), 1)
            getattr(message, field.name).append(value) if field.is_repeated else setattr(message, field.name, value)
        elif field.message_type.GetOptions().map_entry or depth > 3:
            continue
        elif field.is_repeated:
            filled(getattr(message, field.name).add(), depth + 1)
        else:
            getattr(message, field.name).SetInParent()
            filled(getattr(message, field.name), depth + 1)


def _kind(field: Any) -> str:
    return {field.TYPE_STRING: "string", field.TYPE_BYTES: "bytes", field.TYPE_BOOL: "bool"}.get(field.type, "number")


@pytest.mark.parametrize("fill", [False, True], ids=["empty", "full"])
def test_answers_fit_their_schemas(fill: bool) -> None:
    """Every public answer, as proto3 JSON prints it."""
    components = {"components": DOCUMENT["components"]}
    for _, method in BINDINGS:
        service, _, name = method.path.strip("/").rpartition("/")
        output = POOL.FindServiceByName(service).methods_by_name[name].output_type
        reference = output.full_name.removeprefix("kontena.")
        if reference not in DOCUMENT["components"]["schemas"]:
            continue
        message = message_factory.GetMessageClass(output)()
        if fill:
            filled(message)
        value = json_format.MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        schema = {**components, "$ref": f"#/components/schemas/{reference}"}
        jsonschema_rs.Draft202012Validator(schema).validate(value)


def test_a_body_may_leave_out_null_and_spell_numbers() -> None:
    operation = OPERATIONS["POST", "/v1/grids/{grid}/services"]
    schema = {
        "components": DOCUMENT["components"],
        **operation["requestBody"]["content"]["application/json"]["schema"],
    }
    validator = jsonschema_rs.Draft202012Validator(schema)
    good: tuple[Any, ...] = (
        {},
        {"name": None, "ports": None},
        {"instances": "3", "ports": [{"node_port": "80"}]},
        {"other": 1},
    )
    for body in good:
        validator.validate(body)
    wrong: tuple[Any, ...] = ([], {"name": 5}, {"ports": {}}, {"deploy_opts": []}, {"instances": 2**40})
    for body in wrong:
        assert not validator.is_valid(body)
    assert "grid" not in schema["properties"]
    assert set(schema["properties"]) >= set(service_pb2.ServiceSpec.DESCRIPTOR.fields_by_name)


def invented(verb_and_path: str, comment: str) -> dict[str, Any]:
    """The one operation of a service with one RPC."""
    file = descriptor_pb2.FileDescriptorProto(name="x.proto", package="kontena.grid.v1", syntax="proto3")
    file.message_type.add(name="Thing").field.add(name="name", number=1, type=9, label=1)
    service = file.service.add(name="ThingService")
    service.options.Extensions[options_pb2.audience] = options_pb2.AUDIENCE_PUBLIC
    method = service.method.add(name="DoIt", input_type=".kontena.grid.v1.Thing", output_type=".kontena.grid.v1.Thing")
    verb, _, path = verb_and_path.partition(" ")
    setattr(method.options.Extensions[annotations_pb2.http], verb, path)
    file.source_code_info.location.add(path=[6, 0, 2, 0], leading_comments=comment)
    made = document(SETTINGS, descriptor_pb2.FileDescriptorSet(file=[file]))
    operation: dict[str, Any] = made["paths"][path][verb]
    return operation


@pytest.mark.parametrize(
    ("comment", "statuses"),
    [
        ("Does it.", {"200"}),
        ("Does it. Answers 201.", {"201"}),
        ("Changes (200) or creates (201).", {"200", "201"}),
        ("Redirects (302) to x.", {"302"}),
        ("Always answers 403.", set()),
        ("Does it. 503 when it cannot, 403 to some.", {"200"}),
    ],
)
def test_comments_name_statuses(comment: str, statuses: set[str]) -> None:
    responses = invented("post /v1/volumes", comment)["responses"]
    assert {status for status in responses if status < "400"} == statuses
    assert "403" in responses


def test_a_comment_names_the_status_of_a_field_map() -> None:
    content = invented("delete /v1/volumes", "Does it. A refusal is a field map with status 400.")["responses"]["400"]
    names = [shape["$ref"].rpartition("/")[2] for shape in content["content"]["application/json"]["schema"]["anyOf"]]
    assert names == ["Error", "ValidationError"]


def test_comments_name_headers() -> None:
    operation = invented("put /v1/volumes", "Does it. Takes If-Match.")
    assert [(p["in"], p["name"]) for p in operation["parameters"] if p["in"] == "header"] == [("header", "If-Match")]
    assert "412" in operation["responses"]


def test_fields_are_query_parameters_without_a_body() -> None:
    assert [(p["in"], p["name"]) for p in invented("get /v1/volumes", "Does it.")["parameters"]] == [("query", "name")]


def test_sections_are_those_of_the_reference_in_its_order() -> None:
    names = re.findall(r"^# ([\w ]+)$", REFERENCE, re.MULTILINE)
    sections = [name for name in names if name not in {"Introduction", "Authentication"}]
    assert [tag["name"] for tag in DOCUMENT["tags"]][: len(sections)] == sections
    assert {operation["tags"][0] for operation in OPERATIONS.values()} == {tag["name"] for tag in DOCUMENT["tags"]}


def test_each_call_of_the_reference_is_in_the_section_it_is_documented_in() -> None:
    for name, text in re.findall(r"^# ([\w ]+)$(.*?)(?=^# [\w ]+$|\Z)", REFERENCE, re.MULTILINE | re.DOTALL):
        for line in re.findall(r"^```http\n(.+) HTTP/1.1$", text, re.MULTILINE):
            if name != "Introduction":
                assert OPERATIONS[documented(line)]["tags"] == [name], line


def test_each_call_of_the_reference_has_an_example() -> None:
    asked = {documented(line) for line in re.findall(r"^```http\n(.+) HTTP/1.1$", REFERENCE, re.MULTILINE)}
    shown = [tuple(example.call.split()) for example in examples()]
    assert asked - set(shown) == set()
    assert len(shown) == len(set(shown)), "one for each call"
    assert set(shown) <= set(OPERATIONS)


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.call)
def test_examples_are_what_the_document_says(example: Example) -> None:
    verb, path = example.call.split()
    operation = OPERATIONS[verb, path]
    parameters = {one["name"]: one for one in operation["parameters"]}
    assert {name for name, one in parameters.items() if one.get("required")} <= set(example.path)
    assert set(example.path) | set(example.query) <= set(parameters)
    answered = operation["responses"][str(example.status)].get("content", {})
    pairs = [(example.answer, answered.get("application/json"))]
    pairs += [(example.body, operation.get("requestBody", {}).get("content", {}).get("application/json"))]
    for value, content in pairs:
        if value is not None:
            assert content["example"] == value
            schema = {"components": DOCUMENT["components"], **content["schema"]}
            jsonschema_rs.Draft202012Validator(schema).validate(value)


def test_a_new_noun_asks_for_a_section() -> None:
    with pytest.raises(ValueError, match=r"/v1/things/.* belongs to no section"):
        section("/v1/things/{id}")
