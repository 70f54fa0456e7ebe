"""`python -m services.grid_svc` serves; `... migrate` brings the schema up to date; `... seal-tokens` encrypts join
tokens, once no replica of 1.5.5 is left, and puts them under a new VAULT_KEY."""

import asyncio
import sys
from functools import partial

from services.grid_svc.app import MIGRATIONS, build, seal_tokens
from services.grid_svc.settings import Settings
from services.grid_svc.store.tables import metadata
from services.kernel import entry, logs, server, tracing


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    commands = {"": _serve, "migrate": _migrate, "seal-tokens": _seal_tokens, "migrate seal-tokens": _migrate_alone}
    return entry.run("grid_svc", arguments, commands)


def _serve() -> None:
    settings = _settings()
    server.run(settings, partial(build, settings))


def _migrate() -> None:
    # Only here: a service that serves is spared alembic.
    from services.kernel.migrations import migrate  # noqa: PLC0415

    migrate(_settings().database_url, MIGRATIONS, metadata)


def _seal_tokens() -> int:
    return asyncio.run(seal_tokens(_settings()))


def _migrate_alone() -> int:
    """Both, where nothing else runs meanwhile."""
    _migrate()
    return _seal_tokens()


def _settings() -> Settings:
    settings = Settings()  # type: ignore[call-arg]  # The environment fills it.
    logs.configure("grid_svc", settings.log_level)
    tracing.configure("grid_svc", settings.traces_collector)
    return settings


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
