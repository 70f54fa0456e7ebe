"""`kctl deploy`, `plan`, `scale`, `wait`: what changes what runs, and follows it."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kontena_client import ApiError
from kontena_ctl.command import DEFAULT_TIMEOUT, ProgressOption, Service, Timeout, Wait, Yes, command, completed, group
from kontena_ctl.failures import Exit, Failure
from kontena_ctl.following import finish, missing_of_service, service_deploy, stack_deploy, wait_until
from kontena_ctl.output import Format
from kontena_ctl.plans import impossible, lines, summary
from kontena_ctl.progress import Progress
from kontena_ctl.session import ServiceName, Session
from kontena_ctl.verbs import is_stack

app = group("Deploys")
_File = Annotated[str, typer.Option("-f", "--file", metavar="FILE", help="Document of a stack, JSON; - is stdin.")]
_StackName = Annotated[str, typer.Option("--name", help="Name of the stack, in place of that in the file.")]
_Target = Annotated[
    str,
    typer.Argument(metavar="[SERVICE|STACK]", help="What is there already.", autocompletion=completed("services")),
]


@command(app, "plan")
def plan(session: Session, file: _File, name: _StackName = "") -> None:
    """Show what a stack file would change. Nothing is written. Ends with 3 when something could not be placed."""
    document = _read(file, name)
    found = _plan(session, document)
    if session.output.structured:
        session.output.document(found)
    elif session.output.format is Format.NAME:
        for one in found["services"]:
            session.output.line(one["name"])
    else:
        session.output.line(summary(found))
        for line, _ in lines(found):
            session.output.line(line)
    if impossible(found):
        raise typer.Exit(Exit.DEPLOY_FAILED)


@command(app, "deploy")
def deploy(
    session: Session,
    target: _Target = "",
    file: _File = "",
    name: _StackName = "",
    force: Annotated[bool, typer.Option(help="New containers even when nothing changed (services only).")] = False,
    yes: Yes = False,
    progress: ProgressOption = Progress.AUTO,
    wait: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Deploy a stack file, after showing what it changes; or deploy a service or stack again. Followed to the end: 0
    deployed, 3 failed, 4 rolled back, 5 no end in time. Ctrl-C leaves; the deploy goes on."""
    if bool(file) == bool(target):
        raise Failure("Say what to deploy: -f FILE, or the name of a service or stack.", code=Exit.USAGE)
    started = _of_file(session, file, name, yes=yes) if file else _again(session, target, force=force)
    raise typer.Exit(finish(session, started, progress=progress, wait=wait, timeout=timeout))


@command(app, "scale")
def scale(
    session: Session,
    service: Service,
    instances: Annotated[int, typer.Argument(min=0)],
    progress: ProgressOption = Progress.AUTO,
    wait: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Set the number of instances of a service, and follow the deploy."""
    found = session.service(service)
    with session.named("service", service, lambda: [str(one) for one in session.service_names()]):
        started = session.client.scale_service(*found, {"instances": instances})
    raise typer.Exit(finish(session, service_deploy(session, started), progress=progress, wait=wait, timeout=timeout))


@command(app, "wait")
def wait(
    session: Session,
    target: Annotated[str, typer.Argument(metavar="SERVICE|STACK", autocompletion=completed("services"))],
    deploy: Annotated[str, typer.Option(metavar="ID", help="Until this deploy has ended.")] = "",
    state: Annotated[str, typer.Option("--for", metavar="running|stopped")] = "running",
    progress: ProgressOption = Progress.AUTO,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Wait until a service or stack is as it shall be: all instances run what they shall run and are healthy. Ends with
    5 when that takes too long."""
    if state not in {"running", "stopped"}:
        raise Failure(f"--for takes running or stopped, not {state}.", code=Exit.USAGE)
    services = _services(session, target)
    if deploy:
        raise typer.Exit(
            finish(session, _begun(session, target, deploy), progress=progress, wait=True, timeout=timeout)
        )
    for service in services:

        def missing(service: ServiceName = service) -> str:
            found = session.client.get_service(*service)
            return missing_of_service(found, session.client.list_instances(*service)["instances"], state)

        wait_until(session, str(service), timeout, missing)


def _read(file: str, name: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}", code=Exit.USAGE) from error
    try:
        document = json.loads(text)
    except ValueError as error:
        raise Failure(f"{file} is no JSON document of a stack: {error}", code=Exit.USAGE) from error
    if not isinstance(document, dict):
        raise Failure(f"{file} does not hold an object", code=Exit.USAGE)
    if name:
        document["name"] = name
    if not document.get("name"):
        raise Failure(f"{file} does not name the stack.", "add a name to it, or say --name NAME", code=Exit.USAGE)
    return document


def _exists(session: Session, stack: str) -> bool:
    try:
        session.client.get_stack(session.grid, stack)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


def _plan(session: Session, document: Any) -> Mapping[str, Any]:
    try:
        return session.client.plan_stack(session.grid, document["name"], document)
    except ApiError as error:
        if error.status != 404:
            raise
    return session.client.plan_new_stack(session.grid, document)


def _of_file(session: Session, file: str, name: str, *, yes: bool) -> Any:
    document: Any = _read(file, name)
    stack, exists = document["name"], _exists(session, document["name"])
    seen = session.client.headers.get("etag") if exists else None
    found = _plan(session, document)
    session.output.say(summary(found))
    for line, colour in lines(found):
        session.output.say(line, colour)
    if found["changed"]:
        session.confirm("Deploy this?", yes=yes)
    if exists:
        # What was shown is about the stack as it was seen: nobody may have changed it meanwhile.
        session.client.update_stack(session.grid, stack, document, if_match=seen)
    else:
        session.client.create_stack(session.grid, document)
    started = session.client.deploy_stack(session.grid, stack)
    return stack_deploy(session, started, [one["name"] for one in found["services"] if one["action"] != "remove"])


def _again(session: Session, target: str, *, force: bool) -> Any:
    if is_stack(session, target):
        if force:
            raise Failure("--force is for services.", code=Exit.USAGE)
        names = [one["name"] for one in session.client.get_stack(session.grid, target)["services"]]
        return stack_deploy(session, session.client.deploy_stack(session.grid, target), names)
    started = session.client.deploy_service(*session.service(target), {"force": force})
    return service_deploy(session, started)


def _services(session: Session, target: str) -> list[ServiceName]:
    kind, _, rest = target.partition("/")
    if kind in {"services", "stacks"} and rest.count("/") == (2 if kind == "services" else 1):
        target = rest if kind == "services" else rest.partition("/")[2]
    if is_stack(session, target):
        stack = session.client.get_stack(session.grid, target)
        return [ServiceName(session.grid, target, one["name"]) for one in stack["services"]]
    return [session.service(target)]


def _begun(session: Session, target: str, id_: str) -> Any:
    kind, _, rest = target.partition("/")
    if kind == "stacks" or is_stack(session, target):
        stack = rest if kind == "stacks" else f"{session.grid}/{target}"
        return stack_deploy(session, {"stack_id": stack, "id": id_})
    service = rest if kind == "services" and rest.count("/") == 2 else "/".join(session.service(target))
    return service_deploy(session, {"service_id": service, "id": id_})
