"""`python -m services.deploy_svc` serves; with `migrate` it brings the database schema up to date and ends,
with `engine` it carries out deploys beside an api on the same machine."""

import sys
from functools import partial

from services.deploy_svc import app


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    beside = partial(app.run_engine, beside=True)
    return app.PROGRAM.run(arguments, {"migrate": app.migrate, "engine": app.run_engine, app.BESIDE: beside})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
