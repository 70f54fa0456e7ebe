"""`python -m services.deploy_svc` serves; with `migrate` it brings the database schema up to date and ends."""

import sys

from services.deploy_svc import app
from services.kernel import entry


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    return entry.run("deploy_svc", arguments, app.COMMANDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
