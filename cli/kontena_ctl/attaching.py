"""A command in a container, with the caller's terminal or for a program."""

from collections.abc import Sequence

from kontena_ctl.output import Format
from kontena_ctl.session import Session


def attach(
    session: Session, container: str, cmd: Sequence[str], *, interactive: bool, tty: bool, shell: bool = False
) -> int:
    """Run it in `grid/node/name`; returns its exit code."""
    from kontena_client.exec import Exec  # noqa: PLC0415 -- brings websockets.
    from kontena_ctl.terminal import attached  # noqa: PLC0415

    cmd = cmd[1:] if cmd[0] == "--" else cmd
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
    return running.exit_code or 0
