"""Whatever the files say, a conversion ends with a document that the API takes, or with refusals that say where."""

import json
from typing import Any

from google.protobuf.json_format import ParseDict
from hypothesis import given, settings
from hypothesis import strategies as st

from kontena.deploy.v1 import stack_conversion_pb2 as pb
from services.deploy_svc.clients.conversion_process import compose_schema
from services.deploy_svc.domain.compose.keys import SERVICE, TOP
from services.deploy_svc.domain.stack_file.keys import SERVICE as STACK_FILE_SERVICE
from services.deploy_svc.domain.stack_file.keys import TOP as STACK_FILE_TOP
from tests.support.stack_sources import convert

SCHEMA = compose_schema()
TEXTS = st.sampled_from((
    "", "x", "web", "80", "8080:80", "1m30s", "512m", "0.5", "true", "$", "${A:-b}", "${A:?}", "$$", "/data", "data:/d",
    "web:ro", "a=b", "node.labels.a == b", "service:web", "container:x", "-1", "1e999", "[::1]:1-2:3-4/udp", "./x", ".",
    "\0", "ü", "CMD", "NONE", "!reset", "web.env", "%s", "{{ x }}", "{% if x %}", "a\nb", "01", "99999999999999999999",
))  # fmt: skip
SCALARS = TEXTS | st.text(max_size=8) | st.integers() | st.floats() | st.booleans() | st.none()
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)


def of_schema(schema: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that the schema describes, mostly."""
    if "$ref" in schema:
        return of_schema(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], depth)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return st.one_of([of_schema(one, depth) for one in schema[key]])
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    found: list[st.SearchStrategy[Any]] = [_SIMPLE[kind] for kind in kinds if kind in _SIMPLE]
    if "array" in kinds:
        found.append(st.lists(st.deferred(lambda: of_schema(schema.get("items", {}), depth + 1)), max_size=2))
    if "object" in kinds:
        found.append(_objects(schema, depth))
    return st.one_of(found) if found else ANYTHING


def _objects(schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    properties = schema.get("properties", {})
    optional = {
        name: st.deferred(lambda one=one: of_schema(one, depth + 1)) for name, one in properties.items()
    }  # fmt: skip
    if not optional:
        return st.dictionaries(TEXTS, SCALARS, max_size=3)
    return st.lists(st.sampled_from(sorted(optional)), max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: optional[name] for name in names})
    )


_SIMPLE: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "integer": st.integers(-2, 70000),
    "number": st.floats(-2, 70000),
    "boolean": st.booleans(),
    "null": st.none(),
}
_PROPERTIES: dict[str, Any] = {
    **SCHEMA["$defs"]["container_spec"]["properties"],
    **SCHEMA["$defs"]["service"].get("properties", {}),
    **SCHEMA["$defs"]["workload_spec"].get("properties", {}),
}


@st.composite
def services(draw: st.DrawFn) -> dict[str, Any]:
    """A service with a few keys of the schema."""
    names = draw(st.lists(st.sampled_from(sorted(_PROPERTIES)), max_size=4, unique=True))
    return {"image": "x", **{name: draw(of_schema(_PROPERTIES[name])) for name in names}}


def _holds(files: dict[str, str], *, ignore: bool, **more: Any) -> None:
    outcome = convert(files, ignore=ignore, variables={"A": "b"}, **more)
    assert (outcome.made is None) == bool(outcome.errors), outcome
    assert all(path and message for path, message in outcome.errors.items())
    if outcome.made is not None:
        made = outcome.made
        json.dumps(made.document, allow_nan=False)
        answer = {"stack": made.document, "volumes": list(made.volumes), "secrets": list(made.secrets)}
        ParseDict({**answer, "dependencies": list(made.dependencies)}, pb.ConvertedStack())


@given(st.dictionaries(st.sampled_from(("web", "db", "a.b")), services(), max_size=2), ANYTHING, st.booleans())
def test_files_like_the_schema_describes_them_never_break_the_conversion(
    found: dict[str, Any], volumes: Any, ignore: bool
) -> None:
    document = {"name": "a", "services": found, "volumes": volumes}
    _holds({"compose.yaml": json.dumps(document), "web.env": "A=1", ".env": "B=${A"}, ignore=ignore)


@given(st.dictionaries(st.sampled_from(sorted(SERVICE)) | TEXTS, ANYTHING, max_size=4), ANYTHING, st.booleans())
def test_files_like_nobody_describes_them_never_break_the_conversion(
    service: dict[str, Any], top: Any, ignore: bool
) -> None:
    for document in (
        {"name": "a", "services": {"web": {"image": "x", **service}, "base": service}},
        {**dict.fromkeys(TOP, top), "services": {"web": service}},
        {"services": top},
        top,
    ):
        _holds({"compose.yaml": json.dumps(document), "b.yaml": json.dumps(top)}, ignore=ignore, order=["compose.yaml"])
    both = json.dumps({"name": "a", "services": {"web": service}})
    _holds({"a.yaml": both, "b.yaml": both}, ignore=ignore, order=["a.yaml", "b.yaml"])


@given(
    st.dictionaries(st.sampled_from(sorted(STACK_FILE_SERVICE)), ANYTHING, max_size=4),
    st.dictionaries(st.sampled_from(("type", "from", "to", "value", "default", "only_if", "options", "in")), ANYTHING),
    ANYTHING,
    st.booleans(),
)
def test_stack_files_never_break_the_conversion(
    service: dict[str, Any], variable: dict[str, Any], top: Any, ignore: bool
) -> None:
    for document in (
        {"services": {"web": {"image": "x", **service}}, "variables": {"v": variable}},
        {**dict.fromkeys(STACK_FILE_TOP, top), "services": {"web": service, "base": top}},
        {"services": {"web": {"image": "x"}}, "variables": top, "depends": {"d": {"stack": "kontena.yml"}}},
    ):
        text = "stack: me/a\n" + "".join(
            f"{key}: {json.dumps(item)}\n" for key, item in document.items() if key != "stack"
        )
        _holds({"kontena.yml": text}, ignore=ignore)


@given(st.text(max_size=200) | st.text(alphabet="[]{}&*:-|>!%#'\"\n ab$?,@`~<", max_size=200), st.booleans())
@settings(max_examples=200)
def test_any_text_at_all_never_breaks_the_conversion(text: str, ignore: bool) -> None:
    _holds({"compose.yaml": text, ".env": text}, ignore=ignore)
    _holds({"kontena.yml": f"stack: me/a\n{text}"}, ignore=ignore)
