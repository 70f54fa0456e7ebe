"""`kctl stop`, `start`, `restart`: services and all services of stacks."""

from functools import partial
from typing import Annotated

import typer

from kontena_ctl.command import Timeout, Wait, command, completed, group
from kontena_ctl.following import missing_of_service, wait_until
from kontena_ctl.session import ServiceName, Session
from kontena_ctl.verbs import is_stack

app = group("Stop, start and restart services")
_Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="SERVICE|STACK...", help="service, stack/service or stack", autocompletion=completed("services")
    ),
]
_DONE = {"stop": "stopped", "start": "running", "restart": "running"}


def _command(verb: str) -> None:
    def run(
        session: Session,
        targets: _Targets,
        wait: Wait = True,
        timeout: Timeout = "2m",  # type: ignore[assignment]  # it is parsed.
    ) -> None:
        found = [service for target in targets for service in _services(session, target)]
        for service in found:
            getattr(session.client, f"{verb}_service")(*service)
        for service in found:
            if wait and verb != "restart":
                wait_until(session, str(service), timeout, partial(_missing, session, service, _DONE[verb]))
            else:
                session.output.say(f"{service}: {verb} was asked for")

    run.__doc__ = f"{verb.capitalize()} services; with the name of a stack, all of its services."
    command(app, verb)(run)


def _missing(session: Session, service: ServiceName, state: str) -> str:
    instances = session.client.list_instances(*service)["instances"]
    return missing_of_service(session.client.get_service(*service), instances, state)


def _services(session: Session, target: str) -> list[ServiceName]:
    if is_stack(session, target):
        stack = session.client.get_stack(session.grid, target)
        return [ServiceName(session.grid, target, one["name"]) for one in stack["services"]]
    return [session.service(target)]


for _verb in _DONE:
    _command(_verb)
