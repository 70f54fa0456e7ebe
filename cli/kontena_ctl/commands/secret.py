"""`kctl secret`: values come from stdin or a prompt, never from the command line."""

import sys
from typing import Annotated, Any

import typer

from kontena_ctl.command import command, completed, group
from kontena_ctl.resources import SECRET
from kontena_ctl.session import Session
from kontena_ctl.verbs import about, add

GROUP = True
app = group("Secrets of the vault")
add(app, SECRET)
_Name = Annotated[str, typer.Argument(metavar="SECRET", autocompletion=completed("secrets"))]


@command(app, "set")
def set_(session: Session, name: _Name) -> None:
    """Create or replace a secret; its value comes from stdin, byte for byte, or is asked for. Services that use it are
    deployed again."""
    value = typer.prompt("Value", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read()
    document: Any = session.client.update_secret(session.grid, name, {"value": value, "upsert": True})
    if not session.output.told({key: one for key, one in document.items() if key != "value"}):
        session.output.say(f"set {name}")


@command(app, "get")
def get(session: Session, name: _Name) -> None:
    """Print the value of a secret, byte for byte. Each time is written to the audit log."""
    document = about(session, SECRET, name, session.client.get_secret)
    if not session.output.told(document):
        session.output.raw(document["value"])
        if sys.stdout.isatty():
            session.output.say()
