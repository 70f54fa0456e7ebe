"""`kctl grid`."""

from typing import Annotated, Any

import typer

from kontena_ctl.command import Yes, command, group
from kontena_ctl.resources import GRID
from kontena_ctl.session import Session
from kontena_ctl.verbs import add, shown

GROUP = True
app = group("Grids")
add(app, GRID)
_Subnets = Annotated[
    list[str], typer.Option("--trusted-subnet", help="Nodes in it need no encryption.", metavar="CIDR")
]


@command(app, "create")
def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    initial_size: Annotated[int, typer.Option(min=1, max=7, help="Number of initial members.")] = 1,
    subnet: Annotated[str, typer.Option(metavar="CIDR", help="Addresses of containers.")] = "",
    trusted_subnets: _Subnets = [],  # noqa: B006
) -> None:
    """Create a grid."""
    body: Any = {"name": name, "initial_size": initial_size, "trusted_subnets": trusted_subnets}
    if subnet:
        body["subnet"] = subnet
    shown(session, GRID, session.client.create_grid(body))


@command(app, "update")
def update(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="GRID")],
    trusted_subnets: _Subnets = [],  # noqa: B006
    host_access: Annotated[str, typer.Option(metavar="admins|members")] = "",
) -> None:
    """Change a grid; what is not said stays."""
    body: Any = {}
    if trusted_subnets:
        body["trusted_subnets"] = trusted_subnets
    if host_access:
        body["host_access"] = host_access
    shown(session, GRID, session.client.update_grid(name, body))


@command(app, "token")
def token(
    session: Session,
    rotate: Annotated[bool, typer.Option(help="A new one; nodes that joined with a key stay.")] = False,
    yes: Yes = False,
) -> None:
    """Show the token with which nodes join, or replace it."""
    if rotate:
        session.confirm(f"Replace the token of grid {session.grid}?", yes=yes)
        session.client.rotate_grid_token(session.grid, {})
    document = session.client.get_grid(session.grid)
    if not session.output.told({"grid": document["name"], "token": document["token"]}):
        session.output.line(document["token"])
