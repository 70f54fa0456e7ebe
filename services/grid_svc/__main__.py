"""`python -m services.grid_svc` serves; `python -m services.grid_svc migrate` brings the schema up to date."""

import sys
from functools import partial
from pathlib import Path

from services.grid_svc.app import build
from services.grid_svc.settings import Settings
from services.grid_svc.store.tables import metadata
from services.kernel import logs, server
from services.kernel.migrations import migrate

if __name__ == "__main__":
    # Settings come from the environment; mypy sees only the required ones.
    settings = Settings()  # type: ignore[call-arg]
    logs.configure("grid_svc", settings.log_level)
    if sys.argv[1:] == ["migrate"]:
        migrate(settings.database_url, Path(__file__).parent / "migrations", metadata)
    elif not sys.argv[1:]:
        server.run(settings, partial(build, settings))
    else:
        sys.exit("usage: python -m services.grid_svc [migrate]")
