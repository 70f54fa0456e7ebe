"""Path templates of google.api.http in the spelling of OpenAPI, where a parameter is one segment."""

import re
from collections.abc import Callable
from dataclasses import dataclass

_VARIABLE = re.compile(r"\{([\w.]+)(?:=([^}]*))?\}")
_EXAMPLE = re.compile(r"`(\w+(?:/\w+)+)`")


@dataclass(frozen=True, slots=True)
class PathParameter:
    """One parameter; `field` is the request field it is (a part of), `part` its place there, None for the whole."""

    name: str
    field: str
    part: int | None = None


def openapi_path(template: str, comment_of: Callable[[str], str]) -> tuple[str, list[PathParameter]]:
    """`/v1/nodes/{id=*/*}` to `/v1/nodes/{grid}/{name}`: the comment of the field names the parts (`grid/name`)."""
    parameters: list[PathParameter] = []

    def replaced(match: re.Match[str]) -> str:
        field, pattern = match[1], match[2] or "*"
        parts = pattern.split("/")
        if len(parts) == 1:
            parameters.append(PathParameter(field, field))
        else:
            names = _part_names(field, len(parts), comment_of(field))
            parameters.extend(PathParameter(name, field, place) for place, name in enumerate(names))
        return "/".join(f"{{{p.name}}}" for p in parameters[-len(parts) :])

    return _VARIABLE.sub(replaced, template), parameters


def _part_names(field: str, count: int, comment: str) -> list[str]:
    for example in _EXAMPLE.findall(comment):
        names: list[str] = example.split("/")
        if len(names) == count:
            return names
    return [f"{field}_{number}" for number in range(1, count + 1)]
