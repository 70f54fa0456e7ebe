"""Compose files and stack files of different kinds, as people write them (`stack_files/`), and their conversion."""

import os
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from typing import Any

from services.deploy_svc.clients.conversion_process import compose_schema
from services.deploy_svc.domain import stack_conversion
from services.deploy_svc.domain.compose.schema import compiled
from services.deploy_svc.domain.stack_conversion import Outcome
from services.deploy_svc.domain.stack_source import Source

_ROOM = Path(__file__).parent / "stack_files"
# What conversions are asked for besides the files, by the name of the project.
ASKED: dict[str, dict[str, Any]] = {
    "database": {"variables": {"PASSWORD": "s3cret"}},
    "project": {"name": "project"},
    "balancer": {"variables": {"certs": "ssl_a,ssl_b"}},
}


def projects(kind: str) -> dict[str, dict[str, str]]:
    """The files of each project of a kind, `compose` or `kontena`, by its name."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted((_ROOM / kind).iterdir()):
        if path.is_dir():
            inner = [item for item in sorted(path.rglob("*")) if item.is_file()]
            found[path.name] = {str(item.relative_to(path)): item.read_text() for item in inner}
        else:
            found[path.stem] = {path.name: path.read_text()}
    return found


def body(kind: str, name: str) -> dict[str, Any]:
    """The request that converts a project."""
    return {"files": projects(kind)[name], **ASKED.get(name, {})}


def convert(
    files: dict[str, str] | str,
    *,
    kind: str | None = None,
    ignore: bool = False,
    known: Collection[str] = (),
    chance: Callable[[int], bytes] = os.urandom,
    **source: Any,
) -> Outcome:
    """What files become; text is that of the only compose file."""
    given = {"compose.yaml": files} if isinstance(files, str) else files
    return stack_conversion.convert(
        Source(given, grid=source.pop("grid", "g1"), **source),
        kind=kind,
        ignore_unsupported=ignore,
        compose_schema=_schema(),
        known_secrets=known,
        chance=chance,
    )


def converted(kind: str, name: str, **more: Any) -> Outcome:
    """A project of the room, which has to be convertible."""
    outcome = convert(projects(kind)[name], **{**ASKED.get(name, {}), **more})
    assert outcome.made is not None, outcome.errors
    assert outcome.made.kind == kind
    return outcome


@cache
def _schema() -> Any:
    return compiled(compose_schema())
