"""Reads files that describe a stack (compose.yaml, kontena.yml) and those that they name, for the master to convert."""

import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kontena_ctl.failures import Exit, Failure

ENV_FILE = ".env"
# Members of the top level of compose files with a content of their own.
_CONTENTS = ("secrets", "configs")
# More than the master takes; what is larger was not meant.
_MOST_BYTES = 4 * 1024 * 1024
_TEMPLATE_TAG = re.compile(r"\{%.*?%\}", re.DOTALL)
_TEMPLATE_VALUE = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_BRACED = re.compile(r"\$\{[^}]*\}")
_REFERENCE = re.compile(r"\$(?:\$|\{?([A-Za-z_][A-Za-z0-9_]*))")


class _Loader(yaml.SafeLoader):
    """Takes every tag: what it means is the master's business."""


def _untagged(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else node.value


_Loader.add_multi_constructor("!", _untagged)


@dataclass
class StackFiles:
    """What is sent: texts by their path seen from the folder of the first one, `order` of those that are merged, `name`
    of the stack when the files or their folder say it, `variables` of the environment that the files ask for."""

    files: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    name: str = ""
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def beside(self) -> list[str]:
        """Files that were not named on the command line."""
        return [name for name in self.files if name not in self.order]


def gathered(
    paths: Sequence[str], include: Sequence[str] = (), environment: Mapping[str, str] = os.environ, text: str = ""
) -> StackFiles:
    """The files at `paths` with those that they name, those of `include`, and `.env` beside the first one. `text` is
    that of a first path `-`. A named file that is not there is left out: the master says whether it is needed.
    Raises Failure."""
    folder = Path() if paths[0] == "-" else Path(paths[0]).parent
    found = StackFiles()
    for path in paths:
        name = "compose.yaml" if path == "-" else posixpath.normpath(os.path.relpath(path, folder))
        found.files[name] = text if path == "-" else read(Path(path))
        found.order.append(name)
    for path in include:
        found.files[posixpath.normpath(os.path.relpath(path, folder))] = read(Path(path))
    if (folder / ENV_FILE).is_file():
        found.files.setdefault(ENV_FILE, read(folder / ENV_FILE))
    documents = _with_what_they_name(found, folder)
    first = documents.get(found.order[0])
    known = first if isinstance(first, Mapping) else {}
    found.name = _name(known, "" if paths[0] == "-" else folder.resolve().name)
    compose = "stack" not in known
    asked = (
        _asked_of_compose(found.files.values(), documents.values())
        if compose
        else _asked_of_stack_file(documents.values())
    )
    found.variables = {name: environment[name] for name in asked if name in environment}
    return found


def read(path: Path) -> str:
    """The text of a file. Raises Failure."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise Failure(f"{path} is too large for a file that describes a stack.", code=Exit.USAGE)
        return path.read_text()
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}", code=Exit.USAGE) from error
    except UnicodeDecodeError as error:
        raise Failure(f"{path} is no text: {error}", code=Exit.USAGE) from error


def _with_what_they_name(found: StackFiles, folder: Path) -> dict[str, Any]:
    """Add the files that files name; returns the documents of those that are YAML."""
    documents: dict[str, Any] = {}
    waiting = [name for name in found.files if name != ENV_FILE]
    while waiting:
        name = waiting.pop()
        if not name.endswith((".yml", ".yaml")) and name not in found.order:
            continue
        documents[name] = _parsed(found.files[name])
        for other in _named(documents[name], posixpath.dirname(name)):
            if "$" not in other and other not in found.files and (folder / other).is_file():
                found.files[other] = read(folder / other)
                waiting.append(other)
    return documents


def _parsed(text: str) -> Any:
    """The document; None for a text that is none, about which the master says more."""
    plain = _TEMPLATE_VALUE.sub("x", _TEMPLATE_TAG.sub("", text))
    # Stack files become YAML only when their variables have values.
    for form in (plain, _BRACED.sub("$x", plain)):
        try:
            return yaml.load(form, _Loader)  # noqa: S506 -- a safe loader.
        except (yaml.YAMLError, ValueError, RecursionError):
            continue
    return None


def _named(document: Any, folder: str) -> Iterator[str]:
    """Paths of the files that a document names, as the master looks for them."""
    for key, value in _members(document):
        if key == "env_file":
            for item in value if isinstance(value, list) else [value]:
                yield from _path(item.get("path") if isinstance(item, Mapping) else item)
        elif key == "extends" and isinstance(value, Mapping):
            yield from _path(value.get("file"), folder)
        elif key == "depends" and isinstance(value, Mapping):
            for other in value.values():
                yield from _path(other.get("stack") if isinstance(other, Mapping) else None, folder)
        elif key in _CONTENTS and isinstance(value, Mapping):
            for one in value.values():
                yield from _path(one.get("file") if isinstance(one, Mapping) else None)
        elif key == "from" and isinstance(value, Mapping):
            given = value.get("file")
            yield from _path(given.get("path") if isinstance(given, Mapping) else given)


def _path(value: object, folder: str = "") -> Iterator[str]:
    if isinstance(value, str) and value:
        yield posixpath.normpath(posixpath.join(folder, value))


def _asked_of_compose(texts: Any, documents: Any) -> list[str]:
    """Names of the variables that texts use, and of those that are the content of a secret or config."""
    used = [name for text in texts for name in _REFERENCE.findall(text) if name]
    given = [document.get(kind) for document in documents if isinstance(document, Mapping) for kind in _CONTENTS]
    contents = [one for some in given if isinstance(some, Mapping) for one in some.values()]
    used += [str(one["environment"]) for one in contents if isinstance(one, Mapping) and "environment" in one]
    return list(dict.fromkeys(used))


def _asked_of_stack_file(documents: Any) -> Iterator[str]:
    """Names that variables take from the environment."""
    for document in documents:
        given = document.get("variables") if isinstance(document, Mapping) else None
        for name, definition in given.items() if isinstance(given, Mapping) else ():
            source = definition.get("from") if isinstance(definition, Mapping) else None
            if isinstance(source, Mapping) and "env" in source:
                hint = source["env"]
                yield from (str(one) for one in (hint if isinstance(hint, list) else [hint or name]))


def _members(document: Any) -> Iterator[tuple[str, Any]]:
    """All members of all mappings. Each value is looked at once, however many aliases it has."""
    waiting, seen = [document], set[int]()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Mapping):
            yield from ((str(key), item) for key, item in value.items())
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _name(document: Mapping[str, Any], folder: str) -> str:
    """As the master would name it; empty where only the master knows."""
    given = document.get("name")
    schema = document.get("stack")
    if isinstance(schema, str):
        return schema.rpartition("/")[2].partition(":")[0]
    if given is not None:
        return "" if "$" in str(given) else str(given)
    return re.sub(r"[^a-z0-9-]", "", folder.lower()).strip("-")
