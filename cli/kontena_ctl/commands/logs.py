"""`kctl logs` and `kctl events`."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from kontena_ctl.command import command, completed, group
from kontena_ctl.failures import Exit, Failure
from kontena_ctl.output import Format
from kontena_ctl.session import Session
from kontena_ctl.verbs import target_path
from kontena_ctl.words import duration

app = group("Logs and events")
_Target = Annotated[
    str,
    typer.Argument(metavar="[SERVICE|STACK]", help="All of the grid without.", autocompletion=completed("services")),
]
_Follow = Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes, until Ctrl-C.")]
_Since = Annotated[str, typer.Option(metavar="TIME", help="How long ago, such as 10m, or a time (RFC 3339).")]
_Lines = Annotated[int, typer.Option("-n", "--lines", min=1, max=10000, help="So many of the latest.")]
_SEVERITIES = ("debug", "info", "warning", "error")
_COLOURS = {"warning": "yellow", "error": "red"}


@command(app, "logs")
def logs(
    session: Session,
    target: _Target = "",
    follow: _Follow = False,
    since: _Since = "",
    lines: _Lines = 100,
    service: Annotated[
        list[str], typer.Option("--service", help="Only of these services.", autocompletion=completed("services"))
    ] = [],  # noqa: B006 -- Typer takes it as the type of the option.
    node: Annotated[list[str], typer.Option(help="Only of these nodes.", autocompletion=completed("nodes"))] = [],  # noqa: B006
    instance: Annotated[int, typer.Option(help="Only of this instance of the service.", min=0)] = 0,
    search: Annotated[
        str, typer.Option(metavar="TEXT", help="Only lines that contain it, in any case: the latest of all there are.")
    ] = "",
    grep: Annotated[str, typer.Option(metavar="REGEX", help="Of these, only lines that match.")] = "",
    timestamps: Annotated[bool, typer.Option("-t", "--timestamps", help="When each was written.")] = False,
) -> None:
    """What containers wrote, the oldest first."""
    pattern = _pattern(grep)
    path, query = _where(session, target, "container_logs", since, lines)
    if (service or node) and target:
        raise Failure("--service and --node are for the logs of the whole grid.", code=Exit.USAGE)
    query |= {"services": ",".join(service) or None, "nodes": ",".join(node) or None, "instance": instance or None}
    query["search"] = search or None

    def text(entry: Mapping[str, Any]) -> str:
        when = f"{entry['created_at']} " if timestamps else ""
        return f"{when}{entry['name']}: {entry['data']}"

    _print(session, path, query, follow, text, lambda entry: pattern.search(str(entry["data"])) is not None)


@command(app, "events")
def events(
    session: Session,
    target: _Target = "",
    follow: _Follow = False,
    since: _Since = "",
    lines: _Lines = 100,
    grep: Annotated[str, typer.Option(metavar="REGEX", help="Only events that match.")] = "",
) -> None:
    """What happened in the grid, the oldest first."""
    pattern = _pattern(grep)
    path, query = _where(session, target, "event_logs", since, lines)

    def text(entry: Mapping[str, Any]) -> str:
        severity = _SEVERITIES[min(int(entry.get("severity") or 0), 3)]
        return f"{entry['created_at']} {severity:7} {entry['type']} {entry['message']}"

    _print(session, path, query, follow, text, lambda entry: pattern.search(str(entry["message"])) is not None)


def _print(
    session: Session,
    path: str,
    query: Mapping[str, Any],
    follow: bool,
    text: Callable[[Mapping[str, Any]], str],
    matches: Callable[[Mapping[str, Any]], bool],
) -> None:
    client = session.client
    entries: Iterable[Mapping[str, Any]]
    entries = client.follow(path, **query) if follow else _searched(session, path, query)
    try:
        for entry in entries:
            if matches(entry):
                name = session.output.format is Format.NAME
                session.output.entry(entry, str(entry.get("name") or entry["id"]) if name else text(entry))
    except KeyboardInterrupt:
        # The way in which people end it.
        return


def _searched(session: Session, path: str, query: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The latest entries, the oldest first. The master searches a part at a time; Ctrl-C keeps what was found."""
    answer = session.client.call("GET", path, query)
    found: list[Mapping[str, Any]] = answer["logs"]
    while (place := answer.get("unsearched")) and len(found) < query["limit"]:
        session.output.say(f"Found {len(found)}; searching lines before {place['before']}. Ctrl-C ends it.", "dim")
        try:
            answer = session.client.call("GET", path, {**query, **place, "limit": query["limit"] - len(found)})
        except KeyboardInterrupt:
            session.output.say(f"Lines before {place['before']} were not searched.", "yellow")
            break
        found = [*answer["logs"], *found]
    return found


def _where(session: Session, target: str, kind: str, since: str, lines: int) -> tuple[str, dict[str, Any]]:
    query = {"limit": lines, "since": _time(since)}
    if not target:
        return f"/v1/grids/{session.grid}/{kind}", query
    return f"{target_path(session, target)}/{kind}", query


def _time(since: str) -> str | None:
    if not since:
        return None
    try:
        return (datetime.now(UTC) - timedelta(seconds=duration(since))).isoformat()
    except ValueError:
        return since


def _pattern(grep: str) -> re.Pattern[str]:
    try:
        return re.compile(grep)
    except re.error as error:
        raise Failure(f"--grep {grep!r} is no regular expression: {error}", code=Exit.USAGE) from error
