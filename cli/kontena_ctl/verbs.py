"""`ls`, `show` and `rm` of every resource, made from its row."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from kontena_ctl.command import App, Yes, command, completed
from kontena_ctl.failures import Exit, Failure
from kontena_ctl.output import Format
from kontena_ctl.resources import SERVICE, STACK, Resource
from kontena_ctl.session import ServiceName, Session


def listing(session: Session, resource: Resource, document: Any) -> None:
    """Print the answer of a list call; for people in the order of names, or of time."""
    rows = document[resource.plural]
    if not resource.by_time:
        rows = sorted(rows, key=resource.key)
    session.output.listed(document, resource.columns, rows, resource.key)


def shown(session: Session, resource: Resource, document: Any) -> None:
    """Print one document."""
    if session.output.format is Format.NAME:
        session.output.line(resource.key(document))
    elif not session.output.told(document):
        session.output.details(document)


def about(session: Session, resource: Resource, name: str, call: Callable[..., Any], *given: Any) -> Any:
    """What a call of the client about one of them answers. Raises Failure, with what there is, when it is not there."""
    with session.named(resource.name, name, lambda: known(session, resource)):
        return call(*parts(session, resource, name), *given)


def add(group: App, resource: Resource) -> None:
    """The commands that its calls allow."""
    argument = typer.Argument(metavar=resource.name.upper(), autocompletion=completed(resource.plural))
    several = typer.Argument(metavar=f"{resource.name.upper()}...", autocompletion=completed(resource.plural))

    def ls(session: Session) -> None:
        listing(session, resource, getattr(session.client, resource.list)(*_before(session, resource)))

    ls.__doc__ = f"List {_plural(resource)}."
    command(group, "ls")(ls)

    if resource.get:

        def show(session: Session, name: Annotated[str, argument]) -> None:
            shown(session, resource, about(session, resource, name, getattr(session.client, resource.get)))

        show.__doc__ = f"Show a {resource.name}."
        command(group, "show")(show)

    if resource.delete:

        def rm(session: Session, names: Annotated[list[str], several], yes: Yes = False) -> None:
            what = f"{resource.name} {', '.join(names)}"
            session.confirm(f"Remove {what}{f', {resource.warning}' if resource.warning else ''}?", yes=yes)
            for name in names:
                about(session, resource, name, getattr(session.client, resource.delete))
                session.output.say(f"removed {resource.name} {name}")

        rm.__doc__ = f"Remove {_plural(resource)}."
        command(group, "rm")(rm)


def is_stack(session: Session, target: str) -> bool:
    """Whether a bare name is that of a stack. One of a stack wins over one of a service."""
    return "/" not in target and target in known(session, STACK)


def services_of(session: Session, target: str) -> list[ServiceName]:
    """A service, or all services of a stack."""
    if is_stack(session, target):
        stack = session.client.get_stack(session.grid, target)
        return [ServiceName(session.grid, target, one["name"]) for one in stack["services"]]
    return [session.service(target)]


def target_path(session: Session, target: str) -> str:
    """The path of a service or stack in the API."""
    if is_stack(session, target):
        return f"/v1/stacks/{session.grid}/{target}"
    return session.service(target).path


def known(session: Session, resource: Resource) -> list[str]:
    """Names of all that there are."""
    answer = getattr(session.client, resource.list)(*_before(session, resource))
    return [resource.key(one) for one in answer[resource.plural]]


def parts(session: Session, resource: Resource, name: str) -> tuple[str, ...]:
    """The arguments that address one of them."""
    if resource is SERVICE:
        return tuple(session.service(name))
    if not resource.global_ and name.startswith(f"{session.grid}/"):
        name = name.partition("/")[2]
    if not name:
        raise Failure(f"Say which {resource.name}.", code=Exit.USAGE)
    return (*_before(session, resource), name)


def _before(session: Session, resource: Resource) -> tuple[str, ...]:
    return () if resource.global_ else (session.grid,)


def _plural(resource: Resource) -> str:
    return resource.plural.replace("_", " ")
