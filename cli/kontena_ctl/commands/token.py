"""`kctl token`."""

from typing import Annotated, Any

import typer

from kontena_ctl.command import command, group
from kontena_ctl.resources import TOKEN
from kontena_ctl.session import Session
from kontena_ctl.verbs import add, shown

GROUP = True
app = group("Access tokens")
add(app, TOKEN)


@command(app, "create")
def create(
    session: Session,
    expires_in: Annotated[int, typer.Option(min=0, help="Seconds; 0: never.", metavar="SECONDS")] = 7200,
    scopes: Annotated[str, typer.Option(help="Comma separated.")] = "user",
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    user: Annotated[str, typer.Option(help="For somebody else, by e-mail.")] = "",
    code: Annotated[bool, typer.Option(help="A code to log in with, in place of a token.")] = False,
) -> None:
    """Create an access token. It is shown this once."""
    body: dict[str, Any] = {
        "response_type": "code" if code else "token",
        "scope": scopes,
        "expires_in": expires_in,
        **({"description": description} if description else {}),
        **({"user": user} if user else {}),
    }
    document: Any = session.client.call("POST", "/oauth2/authorize", {}, body, {})
    shown(session, TOKEN, document)
