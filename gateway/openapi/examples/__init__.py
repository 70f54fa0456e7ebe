"""Examples of calls: a request and its answer, in files by section. tests/e2e/test_api_examples.py replays them in
turn, as one story; `KONTENA_GOLDEN=write` writes the answers anew."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Example:
    """`call` is the operation (`POST /v1/grids/{grid}/nodes`), `title` what the page calls it, `path` and `query` are
    values of its parameters. Without a body or an answer, they are None."""

    title: str
    call: str
    status: int
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    answer: Any = None


@cache
def examples() -> tuple[Example, ...]:
    """All of them, those of a section in the order in which they can be called."""
    return tuple(Example(**one) for file in sorted(FOLDER.glob("*.json")) for one in json.loads(file.read_text()))


def illustrate(path: str, verb: str, operation: dict[str, Any]) -> None:
    """Put the example of an operation into it, if there is one."""
    for example in examples():
        if example.call == f"{verb.upper()} {path}":
            operation["summary"] = example.title
            _fill(operation, example)


def _fill(operation: dict[str, Any], example: Example) -> None:
    given = {**example.path, **example.query}
    for parameter in operation["parameters"]:
        if parameter["name"] in given:
            parameter["example"] = given[parameter["name"]]
    if example.body is not None:
        for content in operation["requestBody"]["content"].values():
            content["example"] = example.body
    if example.answer is not None:
        operation["responses"][str(example.status)]["content"]["application/json"]["example"] = example.answer
