"""`kctl run`: a command in a container of its own. The API knows services only, so it is a service of one instance that
waits, the command runs in it as with `exec`, and it is removed afterwards."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from kontena_ctl.attaching import attach
from kontena_ctl.command import DEFAULT_TIMEOUT, Cmd, Interactive, Shell, Timeout, Tty, command, completed, group
from kontena_ctl.failures import Exit, Failure
from kontena_ctl.following import service_deploy, until
from kontena_ctl.rollout import Rollout, conclusion
from kontena_ctl.session import NO_STACK, ServiceName, Session

app = group("Run a command in a container of its own")
# Of a service that it shall be like. Not what others see of it (ports, names, checks, hooks), nor its data.
# fmt: off
_TAKEN = (
    "image", "user", "env", "secrets", "certificates", "affinity", "cpus", "cpu_shares", "memory", "memory_swap",
    "shm_size", "cap_add", "cap_drop", "tmpfs", "sysctls", "ulimits", "extra_hosts", "dns_servers", "working_dir",
    "group_add",
)
# fmt: on
# Ends as soon as it is told to.
_WAITING = {"entrypoint": "/bin/sh", "cmd": ["-c", "trap exit TERM; while :; do sleep 1000 & wait $!; done"]}


@command(app, "run", context_settings={"allow_interspersed_args": False})
def run(
    session: Session,
    cmd: Cmd,
    image: Annotated[str, typer.Option(help="Image; it has to have /bin/sh.")] = "",
    like: Annotated[
        str,
        typer.Option(
            metavar="SERVICE",
            help="With its image, environment, secrets, limits and affinity; without its volumes and ports.",
            autocompletion=completed("services"),
        ),
    ] = "",
    env: Annotated[list[str], typer.Option("-e", "--env", metavar="NAME=VALUE", show_default=False)] = [],  # noqa: B006
    on: Annotated[str, typer.Option(metavar="NODE", help="On this node.", autocompletion=completed("nodes"))] = "",
    interactive: Interactive = False,
    tty: Tty = False,
    shell: Shell = False,
    timeout: Timeout = DEFAULT_TIMEOUT,
) -> None:
    """Run a command in a container of its own, which is removed afterwards. Ends with the exit code of the command."""
    if not image and not like:
        raise Failure("Say what to run: --image IMAGE, or --like SERVICE.", code=Exit.USAGE)
    body: Any = _like(session, like) if like else {}
    body |= {"image": image} if image else {}
    body["env"] = [*body.get("env", ()), *env]
    body["affinity"] = [*body.get("affinity", ()), *([f"node=={on}"] if on else ())]
    with _service(session, body) as service:
        container = _container(session, service, timeout)
        code = attach(session, container, cmd, interactive=interactive, tty=tty, shell=shell)
    raise typer.Exit(code)


def _container(session: Session, service: ServiceName, timeout: float) -> str:
    """Deploy the service; returns its container, once it runs. Raises Failure."""
    deploy = service_deploy(session, session.client.deploy_service(*service, {}))

    def finished() -> Rollout | None:
        rollout = deploy.look()
        return rollout if rollout.finished else None

    rollout = until("The container runs", timeout, finished)
    if rollout.exit is not Exit.OK:
        raise Failure(conclusion(rollout), code=rollout.exit)

    def running() -> str | None:
        found = session.client.list_service_containers(*service)["containers"]
        return next((str(one["id"]) for one in found if one["status"] == "running"), None)

    return until("The container is known", timeout, running)


def _like(session: Session, name: str) -> dict[str, Any]:
    found: Any = session.client.get_service(*session.service(name))
    return {key: found[key] for key in _TAKEN if found.get(key) is not None}


@contextmanager
def _service(session: Session, body: Any) -> Iterator[ServiceName]:
    """It is removed whatever happens."""
    name = ServiceName(session.grid, NO_STACK, f"run-{secrets.token_hex(4)}")
    body |= {**_WAITING, "name": name.service, "stateful": False, "stop_grace_period": "1s"}
    session.client.create_service(session.grid, body)
    try:
        yield name
    finally:
        session.client.delete_service(*name)
