"""`kctl login`: a token for a master, kept as a context."""

from dataclasses import replace
from typing import Annotated
from urllib.parse import urlsplit

import typer

from kontena_ctl.command import CaFile, command, group, told
from kontena_ctl.contexts import Context
from kontena_ctl.failures import Failure
from kontena_ctl.session import Session, connect

app = group("Log in to a master")


@command(app, "login")
def login(
    session: Session,
    url: Annotated[str, typer.Argument(metavar="URL", help="such as https://master.example:9292")],
    name: Annotated[str, typer.Option(help="Name of the context.")] = "",
    token: Annotated[str, typer.Option(help="An access token that you have; - reads it from stdin.")] = "",
    code: Annotated[str, typer.Option(help="A code: of an administrator, or of the page of a login.")] = "",
    invite: Annotated[str, typer.Option(help="The code of an invitation, for the first login with the browser.")] = "",
    remote: Annotated[bool, typer.Option(help="The browser is on another machine.")] = False,
    ca_file: CaFile = "",
) -> None:
    """Log in and use this master from now on. Without --token and --code, the browser opens the login of the master."""
    from kontena_ctl.login import authorization, browser_code, exchanged  # noqa: PLC0415 -- brings httpx.

    context = Context(name or urlsplit(url).hostname or url, url.rstrip("/"), ca_file=ca_file)
    if token:
        context = replace(context, token=told(token))
    elif code:
        context = exchanged(context, {"grant_type": "authorization_code", "code": code})
    elif remote:
        page = authorization(context, "/code", invite)
        session.output.say(f"Open this page and come back with the code:\n\n  {page}\n")
        code = typer.prompt("Code", err=True)
        context = exchanged(context, {"grant_type": "authorization_code", "code": code})
    else:
        waiting = "Waiting for the browser. If it does not open, open this page yourself:\n\n  %s\n"
        found = browser_code(context, invite, lambda page: session.output.say(waiting % page))
        context = exchanged(context, {"grant_type": "authorization_code", "code": found["code"]})
    with connect(context) as client:
        user = client.get_current_user()
        grids = client.list_grids()["grids"]
    grid = session.grid_option or (grids[0]["name"] if grids else "")
    if session.grid_option and grid not in {one["name"] for one in grids}:
        raise Failure(f"You are in no grid {grid!r}.", f"there are: {', '.join(one['name'] for one in grids)}")
    session.contexts.put(replace(context, grid=grid), use=True)
    session.output.say(f"logged in to {context.name} as {user['email']}, grid {grid or '(none)'}", "green")
