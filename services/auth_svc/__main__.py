"""`python -m services.auth_svc` serves; `... migrate` migrates; `... admin --help` tells about operators' commands."""

import sys

from services.auth_svc import admin, app
from services.kernel import entry


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    return entry.run("auth_svc", arguments, {"": app.run, "migrate": app.migrate, "admin ...": admin.main})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
