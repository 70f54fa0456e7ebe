"""`admin COMMAND ...`: what operators do beside the running services. A table says whose command each one is."""

import os
import sys

# What is not in here is a command of auth_svc.
PROGRAMS = {"backup": "deploy.backup", "restore": "deploy.backup", "debug": "deploy.debug"}


def program(arguments: list[str]) -> tuple[str, ...]:
    """What Python runs for the words after `admin`."""
    command = arguments[0] if arguments else ""
    if command in PROGRAMS:
        return ("-m", PROGRAMS[command], *arguments)
    return ("-m", "services.auth_svc", "admin", *arguments)


if __name__ == "__main__":
    words = [sys.executable, *program(sys.argv[1:])]
    os.execv(words[0], words)  # noqa: S606 -- one of the programs above, no shell.
