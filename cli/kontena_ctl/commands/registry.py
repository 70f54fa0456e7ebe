"""`kctl registry`."""

import sys
from typing import Annotated, Any

import typer

from kontena_ctl.command import command, group
from kontena_ctl.resources import REGISTRY
from kontena_ctl.session import Session
from kontena_ctl.verbs import add as add_verbs
from kontena_ctl.verbs import shown

GROUP = True
app = group("Credentials for image registries")
add_verbs(app, REGISTRY)


@command(app, "add")
def add(
    session: Session,
    url: Annotated[str, typer.Argument(metavar="URL", help="such as https://registry.example/")],
    username: Annotated[str, typer.Option("-u", "--username")],
    email: Annotated[str, typer.Option()] = "",
) -> None:
    """Keep credentials for a registry; the password comes from stdin or is asked for."""
    password = (
        typer.prompt("Password", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline().strip()
    )
    body: Any = {"url": url, "username": username, "password": password, "email": email or None}
    shown(session, REGISTRY, session.client.create_external_registry(session.grid, body))
