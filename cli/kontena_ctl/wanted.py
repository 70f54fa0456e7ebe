"""What files ask for: the documents of stacks, and what has to exist before them. Files other than JSON are converted
by the master, which asks for values that are missing."""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kontena_ctl.failures import Exit, Failure
from kontena_ctl.session import Session

# Where the master says which variable has no value: of a stack file the place, of a compose file the words.
_VARIABLE = re.compile(r"^variables\.([^.]+)$")
_REQUIRED = re.compile(r"^The variable (\w+) is required: ")


@dataclass(frozen=True)
class Files:
    """What was said on the command line. `include` are files that others name in a way that cannot be seen here."""

    paths: Sequence[str]
    name: str = ""
    values: Sequence[str] = ()
    profiles: Sequence[str] = ()
    include: Sequence[str] = ()
    ignore_unsupported: bool = False

    @property
    def title(self) -> str:
        """For people."""
        return ", ".join(self.paths)


@dataclass(frozen=True)
class Wanted:
    """Stacks in the order of their deploys. `volumes` do not exist yet, `secrets` and `configs` are written or have to
    be there: of configs, those that say something else now. Values of secrets are for the vault only. `conversion` is
    the whole answer of the master; None for a document."""

    stacks: Sequence[Any]
    volumes: Sequence[Mapping[str, Any]] = ()
    secrets: Sequence[Mapping[str, Any]] = ()
    configs: Sequence[Mapping[str, Any]] = ()
    conversion: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def first(self) -> Iterator[str]:
        """What has to exist before the stacks can be planned, in lines."""
        yield from (f"volume {one['name']}: create" for one in self.volumes)
        yield from (f"secret {one['name']}: write" for one in self.secrets)
        yield from (f"config {one['name']}: write" for one in self.configs)

    @property
    def told(self) -> dict[str, Any]:
        """The answer without the values of secrets."""
        return {**(self.conversion or {}), "secrets": [{"name": one["name"]} for one in self.secrets]}


def of_files(session: Session, files: Files) -> Wanted:
    """Reads files, and has them converted unless they are the document of a stack. Raises Failure."""
    if not files.paths:
        return _converted(session, files, {"name": files.name}, _values(files.values))
    text = _first_text(files.paths[0])
    if files.paths[0].endswith(".json") or text.lstrip().startswith("{"):
        return Wanted([_document(files, text)])
    from kontena_ctl.stack_files import gathered  # noqa: PLC0415 -- it brings yaml.

    found = gathered(files.paths, files.include, text=text)
    if found.beside:
        session.output.say(f"with {', '.join(found.beside)}", "dim")
    body: dict[str, Any] = {"files": found.files, "order": found.order}
    if name := files.name or found.name:
        body["name"] = name
    return _converted(session, files, body, {**found.variables, **_values(files.values)})


def _first_text(path: str) -> str:
    if path == "-":
        return sys.stdin.read()
    try:
        return Path(path).read_text()
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}", code=Exit.USAGE) from error
    except UnicodeDecodeError as error:
        raise Failure(f"{path} is no text: {error}", code=Exit.USAGE) from error


def _document(files: Files, text: str) -> dict[str, Any]:
    """The document of a stack, as it is."""
    title = files.title
    if len(files.paths) > 1 or files.values or files.profiles or files.include:
        raise Failure(f"{title}: a JSON document stands alone and has no variables.", code=Exit.USAGE)
    try:
        document = json.loads(text)
    except ValueError as error:
        raise Failure(f"{title} is no JSON document of a stack: {error}", code=Exit.USAGE) from error
    if not isinstance(document, dict):
        raise Failure(f"{title} does not hold an object", code=Exit.USAGE)
    if files.name:
        document["name"] = files.name
    if not document.get("name"):
        raise Failure(f"{title} does not name the stack.", "add a name to it, or say --name NAME", code=Exit.USAGE)
    return document


def _values(given: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise Failure(f"{text!r} gives no variable a value: say --set NAME=VALUE.", code=Exit.USAGE)
        found[name] = value
    return found


def _converted(session: Session, files: Files, body: dict[str, Any], variables: dict[str, str]) -> Wanted:
    """Ask until the master has all values; each is asked for once, and only where a person is."""
    from kontena_client import ApiError  # noqa: PLC0415 -- it brings httpx.

    body |= {"profiles": list(files.profiles), "ignore_unsupported": files.ignore_unsupported}
    while True:
        body["variables"] = variables
        try:
            return _told(session, session.client.convert_stack(session.grid, body))  # type: ignore[arg-type]
        except ApiError as error:
            missing = _missing(error.fields)
            if not error.fields or not missing or set(missing) & set(variables):
                raise _explained(error, missing) from error
            if not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise _explained(error, missing) from error
            variables |= {name: _asked(session, name, question) for name, question in missing.items()}


def _told(session: Session, answer: Mapping[str, Any]) -> Wanted:
    for warning in answer["warnings"]:
        session.output.say(f"warning: {warning['path']}: {warning['message']}", "yellow")
    stacks = [*answer["dependencies"], answer["stack"]]
    configs = [
        one for one in answer["configs"] if "content" not in one or one["content"] != _text(session, one["name"])
    ]
    return Wanted(stacks, answer["volumes"], answer["secrets"], configs, conversion=answer)


def _text(session: Session, config: str) -> str | None:
    """What a config of the grid says now; None when there is none, or none that may be seen."""
    from kontena_client import ApiError  # noqa: PLC0415

    try:
        return str(session.client.get_grid_config(session.grid, config)["content"])
    except ApiError as error:
        if error.status != 404:
            raise
        return None


def _missing(fields: Mapping[str, str]) -> dict[str, str]:
    """Variables without a value by name, with what is said about them; empty when anything else is wrong as well."""
    found = dict[str, str]()
    for place, message in fields.items():
        name = _VARIABLE.match(place) or _REQUIRED.match(message)
        if name is None:
            return {}
        found.setdefault(name[1], message)
    return found


def _asked(session: Session, name: str, question: str) -> str:
    import typer  # noqa: PLC0415

    session.output.say(question)
    return str(typer.prompt(name, err=True))


def _explained(error: Exception, missing: Mapping[str, str]) -> Exception:
    """With what to do about variables, where these are all that is wrong."""
    from kontena_ctl.explaining import failure_of  # noqa: PLC0415

    known = failure_of(error)
    if known is None:
        return error
    hints = [f"--set {name}=VALUE" for name in missing]
    if any("was not sent" in hint for hint in known.hints):
        hints.append("--include FILE sends a file that is not found by itself")
    return Failure(known.message, *known.hints, *hints, code=known.code)
