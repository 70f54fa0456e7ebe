"""`kctl exec`: a command in a container, with a terminal when wanted."""

from typing import Annotated

import typer

from kontena_ctl.command import command, completed, group
from kontena_ctl.failures import Exit, Failure
from kontena_ctl.output import Format
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
    cmd: Annotated[list[str], typer.Argument(metavar="CMD...", help="Program and arguments; -- before options.")],
    interactive: Annotated[bool, typer.Option("-i", "--interactive", help="Pass input on.")] = False,
    tty: Annotated[bool, typer.Option("-t", "--tty", help="With a terminal.")] = False,
    shell: Annotated[bool, typer.Option(help="Join the words for /bin/sh -c.")] = False,
    instance: Annotated[int, typer.Option(help="In this instance; else the first that runs.", min=0)] = 0,
) -> None:
    """Run a command in a container. Ends with the exit code of the command."""
    from kontena_client.exec import Exec  # noqa: PLC0415 -- brings websockets.
    from kontena_ctl.terminal import attached  # noqa: PLC0415

    cmd = cmd[1:] if cmd[0] == "--" else cmd
    container = _container(session, target, instance)
    context = session.context
    with Exec(
        context.url,
        context.token,
        container,
        cmd,
        interactive=interactive,
        tty=tty,
        shell=shell,
        ca_file=context.ca_file,
    ) as running:
        if session.output.structured:
            told = list(running)
            streams = {name: "".join(text for stream, text in told if stream == name) for name in ("stdout", "stderr")}
            session.output.document({"container": container, "exit_code": running.exit_code, **streams})
        elif session.output.format is Format.NAME:
            list(running)
            session.output.line(container)
        else:
            attached(running, interactive=interactive, tty=tty)
    raise typer.Exit(running.exit_code or 0)


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
