"""`python -m services.auth_svc` serves; `... migrate` migrates; `... admin --help` tells about operators' commands."""

import sys

from services.auth_svc import admin, app


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    match arguments:
        case []:
            app.run()
        case ["migrate"]:
            app.migrate()
        case ["admin", *rest]:
            return admin.main(rest)
        case _:
            sys.stderr.write("usage: python -m services.auth_svc [migrate | admin ...]\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
