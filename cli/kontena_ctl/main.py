"""Runs a command line, and says what went wrong: in words on stderr, in the exit code for scripts."""

import os
import sys
from collections.abc import Sequence

from kontena_ctl.failures import Exit, Failure
from kontena_ctl.output import paint


def main() -> None:
    """Entry point of `kontena-ctl` and `kctl`."""
    code = run(sys.argv[1:], os.path.basename(sys.argv[0]))
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has seen enough, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def run(arguments: Sequence[str], program: str = "kctl") -> int:
    """Returns the exit code."""
    # httpx looks for the libraries of its own command line, which takes a fifth of the time of a command; without this
    # module it goes on as if they were not there.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    import typer  # noqa: PLC0415
    from typer.main import get_command  # noqa: PLC0415

    from kontena_ctl.group import root  # noqa: PLC0415

    if f"_{program.replace('-', '_').upper()}_COMPLETE" in os.environ:
        from typer._completion_classes import completion_init  # noqa: PLC0415

        completion_init()
    try:
        code = get_command(root).main(list(arguments), prog_name=program, standalone_mode=False)
    except Failure as failure:
        _tell(failure.message, failure.hints)
        return failure.code
    except typer.Abort:
        _tell("Interrupted.", ())
        return Exit.DETACHED
    except typer.TyperException as error:
        return _usage(error)
    except BrokenPipeError:
        return Exit.OK
    except KeyboardInterrupt:
        return Exit.DETACHED
    except Exception as error:
        from kontena_ctl.explaining import failure_of  # noqa: PLC0415

        known = failure_of(error)
        if known is None:
            raise
        _tell(known.message, known.hints)
        return known.code
    return int(code or 0)


def _usage(error: Exception) -> int:
    """As Click says it: usage, and which command tells more."""
    show = getattr(error, "show", None)
    if show is not None:
        show(sys.stderr)
    else:
        _tell(str(error), ())
    return int(getattr(error, "exit_code", Exit.USAGE))


def _tell(message: str, hints: Sequence[str]) -> None:
    sys.stderr.write(f"{paint(sys.stderr, 'error:', 'red')} {message}\n")
    for hint in hints:
        sys.stderr.write(f"  {hint}\n")


if __name__ == "__main__":
    main()
