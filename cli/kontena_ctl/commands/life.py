"""`kctl stop`, `start`, `restart`: services and all services of stacks."""

from typing import Annotated

import typer

from kontena_ctl.command import Timeout, Wait, command, completed, group
from kontena_ctl.following import wait_until
from kontena_ctl.session import Session
from kontena_ctl.verbs import services_of

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
        found = [service for target in targets for service in services_of(session, target)]
        for service in found:
            getattr(session.client, f"{verb}_service")(*service)
        for service in found:
            if wait and verb != "restart":
                wait_until(session, service, timeout, _DONE[verb])
            else:
                session.output.say(f"{service}: {verb} was asked for")

    run.__doc__ = f"{verb.capitalize()} services; with the name of a stack, all of its services."
    command(app, verb)(run)


for _verb in _DONE:
    _command(_verb)
