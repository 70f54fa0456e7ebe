"""`python -m services.deploy_svc` serves; with `migrate` it brings the database schema up to date and ends."""

import sys

from services.deploy_svc import app

if __name__ == "__main__":
    app.COMMANDS[" ".join(sys.argv[1:])]()
