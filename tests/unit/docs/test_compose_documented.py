"""A user finds every key of compose files on one page, with what becomes of it, and none is missing."""

from typing import Any

from deploy.compose_page import page
from services.deploy_svc.clients.conversion_process import compose_schema
from services.deploy_svc.domain.compose.keys import ELEMENTS, TOP
from services.deploy_svc.domain.compose.table import Table
from tests.support.pages import ROOT


def test_the_page_is_what_the_tables_say() -> None:
    assert (ROOT / "docs/compose-keys.md").read_text() == page(), "run `make compose-page`"


def test_every_key_of_the_specification_has_a_row() -> None:
    schema = compose_schema()
    assert _missing(schema["properties"], TOP, schema) == []
    for name, table in ELEMENTS.items():
        (element,) = schema["properties"][name]["patternProperties"].values()
        assert _missing(_properties(element, schema), table, schema) == [], name


def _missing(properties: dict[str, Any], table: Table, schema: dict[str, Any]) -> list[str]:
    """Keys of the schema without a row, those of mappings whose keys have rows of their own as well."""
    found = []
    for name, one in properties.items():
        if name not in table:
            found.append(name)
        elif (members := table[name].members) is not None:
            found += [f"{name}.{inner}" for inner in _missing(_properties(one, schema), members, schema)]
    return found


def _properties(one: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in one:
        return _properties(schema["$defs"][one["$ref"].rpartition("/")[2]], schema)
    found: dict[str, Any] = {}
    for part in one.get("allOf", ()):
        found |= _properties(part, schema)
    return {**found, **one.get("properties", {})}
