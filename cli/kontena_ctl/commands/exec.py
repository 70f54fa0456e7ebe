"""`kctl exec`: a command in a container, with a terminal when wanted."""

from typing import Annotated

import typer

from kontena_ctl.attaching import attach
from kontena_ctl.command import Cmd, Interactive, Shell, Tty, command, completed, group
from kontena_ctl.failures import Exit, Failure
from kontena_ctl.session import Session

app = group("Run a command in a container")


@command(app, "exec", context_settings={"allow_interspersed_args": False})
def exec_(
    session: Session,
    target: Annotated[
        str,
        typer.Argument(
            metavar="SERVICE|CONTAINER", help="service, or node/container", autocompletion=completed("services")
        ),
    ],
    cmd: Cmd,
    interactive: Interactive = False,
    tty: Tty = False,
    shell: Shell = False,
    instance: Annotated[int, typer.Option(help="In this instance; else the first that runs.", min=0)] = 0,
) -> None:
    """Run a command in a container. Ends with the exit code of the command."""
    container = _container(session, target, instance)
    raise typer.Exit(attach(session, container, cmd, interactive=interactive, tty=tty, shell=shell))


def _container(session: Session, target: str, instance: int) -> str:
    containers = session.client.list_containers(session.grid)["containers"]
    ids = {one["id"] for one in containers}
    for id_ in (target, f"{session.grid}/{target}"):
        if id_ in ids:
            return id_
    service = session.service(target)
    found = [one for one in containers if one.get("service_id") == "/".join(service)]
    running = sorted((one for one in found if one["status"] == "running"), key=lambda one: one["instance_number"])
    wanted = [one for one in running if instance in {0, one["instance_number"]}]
    if not wanted:
        what = f"instance {instance} of {service}" if instance else f"instance of {service}"
        raise Failure(f"No {what} runs.", f"kctl explain {service}", code=Exit.ERROR)
    return str(wanted[0]["id"])
