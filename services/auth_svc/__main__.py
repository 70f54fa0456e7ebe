"""`python -m services.auth_svc` serves; `... migrate` migrates; `... admin --help` tells about operators' commands."""

import sys

from services.auth_svc import admin
from services.auth_svc.app import PROGRAM


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    return PROGRAM.run(arguments, {"admin ...": admin.main})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
