"""`python -m services.grid_svc` serves; `python -m services.grid_svc migrate` brings the schema up to date."""

import sys
from functools import partial

from services.grid_svc.app import MIGRATIONS, build
from services.grid_svc.settings import Settings
from services.grid_svc.store.tables import metadata
from services.kernel import entry, logs, server
from services.kernel.migrations import migrate


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    return entry.run("grid_svc", arguments, {"": _serve, "migrate": _migrate})


def _serve() -> None:
    settings = _settings()
    server.run(settings, partial(build, settings))


def _migrate() -> None:
    migrate(_settings().database_url, MIGRATIONS, metadata)


def _settings() -> Settings:
    settings = Settings()  # type: ignore[call-arg]  # The environment fills it.
    logs.configure("grid_svc", settings.log_level)
    return settings


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
