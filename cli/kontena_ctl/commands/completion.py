"""`kctl completion`."""

from typing import Annotated

import typer

from kontena_ctl.command import command, group
from kontena_ctl.failures import Exit, Failure
from kontena_ctl.session import Session

app = group("Completion for bash, zsh or fish")
_SHELLS = {
    "bash": "source <(kctl completion bash)",
    "zsh": "source <(kctl completion zsh)",
    "fish": "kctl completion fish | source",
}


@command(app, "completion")
def completion(session: Session, shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish")]) -> None:
    """Print the script with which a shell completes commands, options and names. In ~/.bashrc: source <(kctl completion
    bash)"""
    from typer._completion_shared import get_completion_script  # noqa: PLC0415

    if shell not in _SHELLS:
        raise Failure(f"There is none for {shell!r}.", *_SHELLS.values(), code=Exit.USAGE)
    for program in ("kctl", "kontena-ctl"):
        variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
        session.output.line(get_completion_script(prog_name=program, complete_var=variable, shell=shell))
