"""`kctl config`: texts that services have as files and that are no secrets."""

import sys
from typing import Annotated, Any

import typer

from kontena_ctl.command import command, completed, group
from kontena_ctl.resources import CONFIG
from kontena_ctl.session import Session
from kontena_ctl.verbs import about, add

GROUP = True
app = group("Configs: texts that services have as files")
add(app, CONFIG)
_Name = Annotated[str, typer.Argument(metavar="CONFIG", autocompletion=completed("configs"))]


@command(app, "set")
def set_(session: Session, name: _Name) -> None:
    """Create or replace a config with the text from stdin, byte for byte. Services that use it are deployed again."""
    text = sys.stdin.read()
    document: Any = session.client.update_grid_config(session.grid, name, {"content": text, "upsert": True})
    if not session.output.told(document):
        session.output.say(f"set {name}")


@command(app, "get")
def get(session: Session, name: _Name) -> None:
    """Print the text of a config, byte for byte."""
    document = about(session, CONFIG, name, session.client.get_grid_config)
    if not session.output.told(document):
        session.output.raw(document["content"])
