"""`kctl volume`."""

from typing import Annotated, Any

import typer

from kontena_ctl.command import command, group
from kontena_ctl.resources import VOLUME
from kontena_ctl.session import Session
from kontena_ctl.verbs import add, shown

GROUP = True
app = group("Volumes")
add(app, VOLUME)


@command(app, "create")
def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    scope: Annotated[str, typer.Option(metavar="instance|stack|grid", help="Who shares one.")] = "instance",
    driver: Annotated[str, typer.Option(help="Of the engine.")] = "local",
    option: Annotated[list[str], typer.Option("--option", metavar="KEY=VALUE", help="Of the driver.")] = [],  # noqa: B006
) -> None:
    """Create a volume."""
    options = dict(text.partition("=")[::2] for text in option)
    body: Any = {"name": name, "scope": scope, "driver": driver, "driver_opts": options}
    shown(session, VOLUME, session.client.create_volume(session.grid, body))
