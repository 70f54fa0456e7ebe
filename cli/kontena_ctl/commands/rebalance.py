"""`kctl rebalance`: instances move to where there is more room."""

from typing import Annotated, Any

import typer

from kontena_ctl.command import DEFAULT_TIMEOUT, ProgressOption, Timeout, Wait, Yes, command, completed, group
from kontena_ctl.failures import Exit
from kontena_ctl.following import finish, service_deploy
from kontena_ctl.output import Format
from kontena_ctl.plans import rebalance_lines
from kontena_ctl.progress import Progress
from kontena_ctl.session import Session
from kontena_ctl.words import count

app = group("Move instances to where there is more room")


@command(app, "rebalance")
def rebalance(
    session: Session,
    service: Annotated[
        str,
        typer.Argument(metavar="[SERVICE]", help="Else all of the grid.", autocompletion=completed("services")),
    ] = "",
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would move.")] = False,
    yes: Yes = False,
    progress: ProgressOption = Progress.AUTO,
    wait: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Show which instances would move for a service, or all of a grid, to lie evenly on the nodes; then move them. Each
    service is a deploy of its own, followed to the end as by deploy."""
    path = session.service(service).path if service else f"/v1/grids/{session.grid}"
    found: Any = session.client.call("POST", f"{path}/rebalance/plan", {}, {})
    services = [found] if service else found["services"]
    if plan and session.output.structured:
        session.output.document(found)
    elif not plan or session.output.format is not Format.NAME:
        for line in rebalance_lines(services):
            (session.output.line if plan else session.output.say)(line)
    moves = sum(len(one["moves"]) for one in services)
    if plan or not moves:
        return
    session.confirm(f"Move {count(moves, 'instance')}?", yes=yes)
    begun: Any = session.client.call("POST", f"{path}/rebalance", {}, {}, {"Idempotency-Key": None})
    code = int(Exit.OK)
    for one in [begun] if service else begun["services"]:
        if one.get("deploy"):
            deploy = service_deploy(session, one["deploy"])
            code = max(code, finish(session, deploy, progress=progress, wait=wait, timeout=timeout))
        else:
            session.output.say(f"{one['service_id']}: {one.get('reason') or 'it lies evenly by now'}", "red")
    raise typer.Exit(code)
