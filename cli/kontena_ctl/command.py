"""Makes a command of a function: the options that every command has, and a session that ends with it."""

import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from kontena_ctl.output import Format, Output
from kontena_ctl.progress import Progress
from kontena_ctl.session import Session
from kontena_ctl.words import duration

App = typer.Typer


def _complete_grids(incomplete: str) -> list[str]:
    from kontena_ctl.completions import matching  # noqa: PLC0415

    return matching("grids", incomplete)


def complete_contexts(incomplete: str) -> list[str]:
    """Completes an argument with the names of contexts."""
    from kontena_ctl.contexts import Contexts  # noqa: PLC0415

    return [name for name in Contexts.load().known if name.startswith(incomplete)]


def completed(what: str) -> Callable[[str], list[str]]:
    """Completes an argument with the names of what the grid has: `services`, `nodes`, ..."""

    def complete(incomplete: str) -> list[str]:
        from kontena_ctl.completions import matching  # noqa: PLC0415

        return matching(what, incomplete)

    return complete


def _seconds(text: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


_OutputOption = Annotated[Format, typer.Option("-o", "--output", help="Format of what is printed.")]
_GridOption = Annotated[
    str, typer.Option("-g", "--grid", help="Another grid.", metavar="GRID", autocompletion=_complete_grids)
]
_CtxOption = Annotated[
    str, typer.Option("--ctx", help="Another master.", metavar="CONTEXT", autocompletion=complete_contexts)
]
_COMMON: tuple[tuple[str, Any, Any], ...] = (
    ("output", _OutputOption, Format.TABLE),
    ("grid", _GridOption, ""),
    ("ctx", _CtxOption, ""),
)

Service = Annotated[
    str, typer.Argument(metavar="SERVICE", help="service or stack/service", autocompletion=completed("services"))
]
Services = Annotated[
    list[str],
    typer.Argument(metavar="SERVICE...", help="service or stack/service", autocompletion=completed("services")),
]
Target = Annotated[str, typer.Argument(metavar="SERVICE|STACK", autocompletion=completed("services"))]
CaFile = Annotated[str, typer.Option(help="Authorities that the master's certificate comes from.", metavar="FILE")]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]
Timeout = Annotated[
    float, typer.Option(help="How long to wait, such as 90s or 10m.", metavar="DURATION", parser=_seconds)
]
# Typer parses it as what is typed.
DEFAULT_TIMEOUT: Any = "10m"
ProgressOption = Annotated[Progress, typer.Option("--progress", help="How the way there is shown.")]
Cmd = Annotated[list[str], typer.Argument(metavar="CMD...", help="Program and arguments; -- before options.")]
Interactive = Annotated[bool, typer.Option("-i", "--interactive", help="Pass input on.")]
Tty = Annotated[bool, typer.Option("-t", "--tty", help="With a terminal.")]
Shell = Annotated[bool, typer.Option(help="Join the words for /bin/sh -c.")]
Wait = Annotated[bool, typer.Option(help="Wait for the end.")]


def told(text: str) -> str:
    """A value of the command line; `-` stands for a line of stdin, which no list of processes shows."""
    return sys.stdin.readline().strip() if text == "-" else text


def group(help_: str) -> App:
    """A group of commands."""
    return App(help=help_, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


def command(app: App, name: str, **settings: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The function's first parameter is the Session; the others are what Typer makes of them. It says an exit code by
    raising `typer.Exit`."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function).parameters.values())[1:]
        keyword = inspect.Parameter.KEYWORD_ONLY
        common = [inspect.Parameter(n, keyword, default=default, annotation=kind) for n, kind, default in _COMMON]

        def run(**given: Any) -> None:
            session = Session(Output(given.pop("output")), given.pop("ctx"), given.pop("grid"))
            try:
                function(session, **given)
            finally:
                session.close()

        parameters = [one.replace(kind=keyword) for one in own] + common
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        run.__doc__ = function.__doc__
        run.__name__ = function.__name__
        app.command(name, **settings)(run)
        return function

    return register
