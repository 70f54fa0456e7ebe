"""`kctl rollback`: back to a revision of before."""

from typing import Annotated, Any

import typer

from kontena_ctl.command import DEFAULT_TIMEOUT, ProgressOption, Target, Timeout, Wait, Yes, command, group
from kontena_ctl.failures import Failure
from kontena_ctl.following import finish, service_deploy, stack_deploy
from kontena_ctl.progress import Progress
from kontena_ctl.session import Session
from kontena_ctl.verbs import target_path
from kontena_ctl.words import age

app = group("Go back to a revision of before")


@command(app, "rollback")
def rollback(
    session: Session,
    target: Target,
    to: Annotated[int, typer.Option(metavar="REVISION", min=0, help="This revision; else the one before.")] = 0,
    yes: Yes = False,
    progress: ProgressOption = Progress.AUTO,
    wait: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Make a revision of before the newest one of a service or stack, and deploy it, as deploy does."""
    path = target_path(session, target)
    kept: Any = session.client.call("GET", f"{path}/revisions", {"limit": 100})["revisions"]
    chosen = next((one for one in kept[1:] if to in {0, one["revision"]}), None)
    if chosen is None:
        have = ", ".join(str(one["revision"]) for one in kept[1:]) or "none"
        raise Failure(f"{target} has no revision {to or 'of before'} to go back to; there are: {have}.")
    number = chosen["revision"]
    who = f" of {chosen['author']}" if chosen.get("author") else ""
    session.output.say(f"revision {number}{who}, {age(chosen['created_at'])} old; now {kept[0]['revision']}")
    session.confirm(f"Go back to revision {number} of {target}?", yes=yes)
    started: Any = session.client.call("POST", f"{path}/rollback", {}, {"revision": number}, {"Idempotency-Key": None})
    deploy = stack_deploy(session, started) if "stack_id" in started else service_deploy(session, started)
    raise typer.Exit(finish(session, deploy, progress=progress, wait=wait, timeout=timeout))
