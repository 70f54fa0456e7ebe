"""`kctl ctx`: the masters that are known."""

from dataclasses import replace
from typing import Annotated

import typer

from kontena_ctl.command import CaFile, command, complete_contexts, completed, group, told
from kontena_ctl.contexts import Context, Contexts
from kontena_ctl.output import Column
from kontena_ctl.resources import GRID
from kontena_ctl.session import Session
from kontena_ctl.verbs import about

GROUP = True
app = group("The masters that are known, and which one is used")
_Name = Annotated[str, typer.Argument(metavar="CONTEXT", autocompletion=complete_contexts)]


@command(app, "ls")
def ls(session: Session) -> None:
    """List contexts."""
    contexts = session.contexts
    rows = sorted(contexts.known.values(), key=lambda one: one.name)
    columns = (
        Column("USED", lambda one: "*" if one.name == contexts.current else " "),
        Column("CONTEXT", lambda one: one.name),
        Column("URL", lambda one: one.url),
        Column("GRID", lambda one: one.grid),
        Column("TOKEN", lambda one: "expired" if one.expired else ("yes" if one.token else "no")),
    )
    document = {"contexts": [_document(contexts, one) for one in rows]}
    session.output.listed(document, columns, rows, lambda one: one.name)
    if contexts.imported:
        session.output.say(f"taken over from {contexts.imported}")


@command(app, "use")
def use(session: Session, name: _Name) -> None:
    """Make a context the one that is used."""
    session.contexts.current = session.contexts.get(name).name
    session.contexts.save()
    session.output.say(f"using {name}")


@command(app, "grid")
def grid(
    session: Session, name: Annotated[str, typer.Argument(metavar="GRID", autocompletion=completed("grids"))]
) -> None:
    """Make a grid the usual one of the context."""
    context = session.contexts.get(session.ctx or session.contexts.current)
    about(session, GRID, name, session.client.get_grid)
    session.contexts.put(replace(context, grid=name), use=False)
    session.output.say(f"using grid {name} of {context.name}")


@command(app, "add")
def add(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="CONTEXT")],
    url: Annotated[str, typer.Argument(metavar="URL", help="such as https://master.example:9292")],
    token: Annotated[str, typer.Option(help="Access token; better read from stdin with -.")] = "",
    ca_file: CaFile = "",
) -> None:
    """Add or replace a context. --grid makes a grid the usual one."""
    session.contexts.put(Context(name, url.rstrip("/"), told(token), session.grid_option, ca_file=ca_file), use=False)
    session.output.say(f"added {name}")


@command(app, "rm")
def rm(session: Session, name: _Name) -> None:
    """Forget a context. Its token goes on being valid: kctl token rm ends one."""
    session.contexts.get(name)
    del session.contexts.known[name]
    if session.contexts.current == name:
        session.contexts.current = ""
    session.contexts.save()
    session.output.say(f"forgot {name}")


def _document(contexts: Contexts, one: Context) -> dict[str, object]:
    current = one.name == contexts.current
    return {"name": one.name, "url": one.url, "grid": one.grid, "current": current, "expired": one.expired}
