"""`kctl deploy`, `plan`, `scale`, `wait`: what changes what runs, and follows it."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from kontena_client import ApiError
from kontena_ctl.command import (
    DEFAULT_TIMEOUT,
    ProgressOption,
    Service,
    Target,
    Timeout,
    Wait,
    Yes,
    command,
    completed,
    group,
)
from kontena_ctl.failures import Exit, Failure
from kontena_ctl.following import Followed, finish, service_deploy, stack_deploy, wait_until
from kontena_ctl.output import Format
from kontena_ctl.plans import impossible, lines, summary
from kontena_ctl.progress import Progress
from kontena_ctl.resources import CONFIG, SECRET, SERVICE
from kontena_ctl.session import ServiceName, Session
from kontena_ctl.verbs import about, is_stack, known, services_of
from kontena_ctl.wanted import Files, Wanted, of_files

app = group("Deploys")
_Paths = Annotated[
    list[str],
    typer.Option(
        "-f",
        "--file",
        metavar="FILE",
        help="compose.yaml (several are merged), kontena.yml, or the JSON document of a stack; - is stdin.",
    ),
]
_StackName = Annotated[str, typer.Option("--name", help="Name of the stack, in place of that in the file.")]
_Values = Annotated[
    list[str], typer.Option("--set", metavar="NAME=VALUE", help="Value of a variable of the file.", show_default=False)
]
_Profiles = Annotated[list[str], typer.Option("--profile", help="Of compose files; * for all.", show_default=False)]
_Include = Annotated[
    list[str], typer.Option(metavar="FILE", help="Sent along, if it is not found by itself.", show_default=False)
]
_Ignore = Annotated[bool, typer.Option("--ignore-unsupported", help="Leave out what has no counterpart.")]
_Target = Annotated[
    str,
    typer.Argument(metavar="[SERVICE|STACK]", help="What is there already.", autocompletion=completed("services")),
]


@command(app, "plan")
def plan(
    session: Session,
    file: _Paths,
    name: _StackName = "",
    values: _Values = [],  # noqa: B006
    profile: _Profiles = [],  # noqa: B006
    include: _Include = [],  # noqa: B006
    ignore_unsupported: _Ignore = False,
) -> None:
    """Show what a stack file would change. Nothing is written. Ends with 3 when something could not be placed."""
    wanted = of_files(session, Files(file, name, values, profile, include, ignore_unsupported))
    if _is_missing(session, wanted):
        _show_first(session, wanted)
        return
    for config in wanted.configs:
        session.output.say(f"~ config {config['name']}: write; services that use it are deployed again", "yellow")
    plans = [_plan(session, document) for document in wanted.stacks]
    for found in plans:
        _show(session, found, alone=len(plans) == 1)
    if any(map(impossible, plans)):
        raise typer.Exit(Exit.DEPLOY_FAILED)


@command(app, "deploy")
def deploy(
    session: Session,
    target: _Target = "",
    file: _Paths = [],  # noqa: B006
    name: _StackName = "",
    values: _Values = [],  # noqa: B006
    profile: _Profiles = [],  # noqa: B006
    include: _Include = [],  # noqa: B006
    ignore_unsupported: _Ignore = False,
    force: Annotated[bool, typer.Option(help="New containers even when nothing changed (services only).")] = False,
    yes: Yes = False,
    progress: ProgressOption = Progress.AUTO,
    wait: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Deploy a stack file, after showing what it changes; or deploy a service or stack again, with --set from the files
    that it keeps. Followed to the end: 0 deployed, 3 failed, 4 rolled back, 5 no end in time. Ctrl-C leaves; the deploy
    goes on."""
    if bool(file) == bool(target):
        raise Failure("Say what to deploy: -f FILE, or the name of a service or stack.", code=Exit.USAGE)
    if target and not values:
        started = _again(session, target, force=force)
        raise typer.Exit(finish(session, started, progress=progress, wait=wait, timeout=timeout))
    wanted = of_files(session, Files(file, name or target, values, profile, include, ignore_unsupported))
    _make_first(session, wanted, yes=yes)
    for document in wanted.stacks:
        last = document is wanted.stacks[-1]
        started = _applied(session, document, yes=yes)
        # Stacks that others depend on are waited for.
        code = finish(session, started, progress=progress, wait=wait or not last, timeout=timeout)
        if code or last:
            raise typer.Exit(code)


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
    started = about(session, SERVICE, service, session.client.scale_service, {"instances": instances})
    raise typer.Exit(finish(session, service_deploy(session, started), progress=progress, wait=wait, timeout=timeout))


@command(app, "wait")
def wait(
    session: Session,
    target: Target,
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
        wait_until(session, service, timeout, state)


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


def _show(session: Session, found: Mapping[str, Any], *, alone: bool) -> None:
    if session.output.structured:
        if alone:
            session.output.document(found)
        else:
            session.output.entry(found, "")
    elif session.output.format is Format.NAME:
        for one in found["services"]:
            session.output.line(one["name"])
    else:
        session.output.line(summary(found))
        for line, _ in lines(found):
            session.output.line(line)


def _is_missing(session: Session, wanted: Wanted) -> bool:
    """Whether something that plans ask for does not exist; what is written may exist already."""
    given = ((wanted.secrets, SECRET), (wanted.configs, CONFIG))
    asked = [({str(one["name"]) for one in some}, resource) for some, resource in given if some]
    return bool(wanted.volumes) or any(names - set(known(session, resource)) for names, resource in asked)


def _show_first(session: Session, wanted: Wanted) -> None:
    """What is made before the stacks: their plans ask for it."""
    if session.output.told(wanted.told):
        return
    for line in wanted.first if session.output.format is not Format.NAME else ():
        session.output.line(f"+ {line}")
    session.output.say("The services can be planned when these exist; deploy makes them after asking.")


def _make_first(session: Session, wanted: Wanted, *, yes: bool) -> None:
    """Volumes, secrets and configs, after a question. Raises Failure for those that only people can make."""
    if not any(wanted.first):
        return
    hints = [f"kctl volume create {one['name']}" for one in wanted.volumes if "driver" not in one]
    hints += [f"kctl secret set {one['name']}" for one in wanted.secrets if "value" not in one]
    hints += [f"kctl config set {one['name']} <FILE" for one in wanted.configs if "content" not in one]
    if hints:
        raise Failure("The files use what does not exist yet.", *hints)
    for line in wanted.first:
        session.output.say(f"+ {line}", "green")
    session.confirm("Make these first?", yes=yes)
    for volume in wanted.volumes:
        session.client.create_volume(session.grid, volume)  # type: ignore[arg-type]
    for secret in wanted.secrets:
        session.client.update_secret(session.grid, secret["name"], {"value": secret["value"], "upsert": True})
    for config in wanted.configs:
        content = {"content": config["content"], "upsert": True}
        session.client.update_grid_config(session.grid, config["name"], content)  # type: ignore[arg-type]


def _applied(session: Session, document: Any, *, yes: bool) -> Followed:
    """Show, ask, write, and begin to deploy the document of a stack."""
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


def _again(session: Session, target: str, *, force: bool) -> Followed:
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
    return services_of(session, target)


def _begun(session: Session, target: str, id_: str) -> Any:
    kind, _, rest = target.partition("/")
    if kind == "stacks" or is_stack(session, target):
        stack = rest if kind == "stacks" else f"{session.grid}/{target}"
        return stack_deploy(session, {"stack_id": stack, "id": id_})
    service = rest if kind == "services" and rest.count("/") == 2 else "/".join(session.service(target))
    return service_deploy(session, {"service_id": service, "id": id_})
