"""`python -m services.deploy_svc` serves; with `migrate` it brings the database schema up to date and ends."""

import sys

from services.deploy_svc import app


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    return app.PROGRAM.run(arguments, {"migrate": app.migrate, app.BESIDE: app.run_engine_beside})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
