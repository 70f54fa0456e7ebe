"""The package `kontena_rest`: a method for each call of the API document, with types that exist."""

import inspect
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from gateway.openapi.python_client import write
from kontena_rest import calls, documents
from kontena_rest.rpcs import READS

DOCUMENT: dict[str, Any] = {"paths": {}, "components": {"schemas": {}}}


def methods(kind: type) -> dict[str, Any]:
    return {name: one for name, one in vars(kind).items() if inspect.isfunction(one) and name != "call"}


def test_both_clients_have_the_same_calls_with_types_that_exist() -> None:
    waiting, waited = methods(calls.Calls), methods(calls.AsyncCalls)
    assert len(waiting) > 80
    assert waiting.keys() == waited.keys()
    scope = {**vars(calls), "documents": documents}
    for name, method in waiting.items():
        hints = get_type_hints(method, scope)
        assert get_type_hints(waited[name], scope) == hints
        assert {"return", *inspect.signature(method).parameters} == {"self", *hints}
        assert method.__doc__


def test_documents_refer_to_documents() -> None:
    kinds = [one for one in vars(documents).values() if isinstance(one, type) and one.__module__ == documents.__name__]
    assert len(kinds) > 100
    for kind in kinds:
        get_type_hints(kind)


def test_what_only_reads_is_named_for_retries() -> None:
    assert ("kontena.deploy.v1.ServiceService", "ListServices") in READS
    assert not any(method.startswith(("Create", "Update", "Delete", "Deploy")) for _, method in READS)


def test_two_documents_of_one_name_are_an_error(tmp_path: Path) -> None:
    schemas: dict[str, Any] = {"a.v1.Thing": {"properties": {"x": {}}}, "b.v1.Thing": {"properties": {"y": {}}}}
    with pytest.raises(ValueError, match="two documents of the name Thing"):
        write({**DOCUMENT, "components": {"schemas": schemas}}, [], tmp_path)


def test_words_of_python_can_be_names(tmp_path: Path) -> None:
    parameter = {"name": "from", "in": "query", "schema": {"type": "string"}}
    answers = {"200": {"content": {"application/json": {"schema": {"type": "object"}}}}}
    operation = {
        "operationId": "ThingService_ListThings",
        "tags": ["Thing"],
        "summary": "List",
        "parameters": [parameter],
        "responses": answers,
    }
    write({**DOCUMENT, "paths": {"/v1/things": {"get": operation}}}, [], tmp_path)
    source = (tmp_path / "kontena_rest/calls.py").read_text()
    assert "def list_things(self, *, from_: str | None = None) -> dict[str, Any]:" in source
    compile(source, "calls.py", "exec")
