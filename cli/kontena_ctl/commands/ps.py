"""`kctl ps`: services and how many of their instances run; with one named, its instances."""

from typing import Annotated

import typer

from kontena_ctl.command import command, completed, group
from kontena_ctl.output import Column
from kontena_ctl.resources import SERVICE
from kontena_ctl.session import Session
from kontena_ctl.verbs import listing
from kontena_ctl.words import age

app = group("Services and how many of their instances run")
CONTAINERS = (
    Column("INSTANCE", lambda one: one["name"]),
    Column("STATUS", lambda one: one["status"]),
    Column("HEALTH", lambda one: one.get("health_status", {}).get("status")),
    Column("NODE", lambda one: one.get("node", {}).get("name")),
    Column("ADDRESS", lambda one: one.get("ip_address")),
    Column("STARTED", lambda one: age(one.get("started_at"))),
    Column("IMAGE", lambda one: one.get("image"), wide=True),
    Column("REVISION", lambda one: one.get("service_rev"), wide=True),
    Column("EXIT CODE", lambda one: one.get("state", {}).get("exit_code"), wide=True),
)
_Name = Annotated[
    str, typer.Argument(metavar="[SERVICE]", help="Show its instances.", autocompletion=completed("services"))
]


@command(app, "ps")
def ps(
    session: Session, service: _Name = "", stack: Annotated[str, typer.Option(help="Only of this stack.")] = ""
) -> None:
    """Services and how many of their instances run; with one named, its instances."""
    if not service:
        listing(session, SERVICE, session.client.list_services(session.grid, stack=stack or None))
        return
    document = session.client.list_service_containers(*session.service(service))
    containers = sorted(document["containers"], key=lambda one: (one.get("instance_number", 0), one["name"]))
    session.output.listed(document, CONTAINERS, containers, lambda one: one["name"])
