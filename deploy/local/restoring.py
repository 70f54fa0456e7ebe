"""Brings a backup back on this machine. What was there before is kept aside, and comes back when the restore fails."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.backup import files
from deploy.backup.restore import Refused, check_release, read_through
from deploy.backup.sealed_file import Unreadable
from deploy.backup.settings import BackupSettings
from deploy.database_roles import separate
from deploy.local import postgres, probes
from deploy.local.processes import admin_env, service_database_url, suite
from deploy.local.settings import SERVICES, LocalSettings, load_secrets, read_env, write_env
from deploy.local.supervisor import Supervisor

_SECONDS = 120.0


def restore(settings: LocalSettings, file: Path) -> Path | None:
    """Replace the database by that of the backup; the agent is left alone. Returns where the database of before lies.
    Raises NotUp with the reason, and then everything is as it was."""
    if settings.database_url:
        raise probes.NotUp(
            "the database is your own: make down, then .venv/bin/python -m deploy.local admin restore FILE"
        )
    passphrase, keys = _checked(file)
    supervisor = Supervisor(settings.var)
    _check_keys(settings, keys, running=supervisor.is_running())
    with _stopped(settings, supervisor), _moved_aside(settings) as before:
        settings.var.mkdir(parents=True, exist_ok=True)
        write_env(settings.var / "secrets.env", read_env(settings.var / "secrets.env") | keys)
        with _postgres(settings):
            env = admin_env(settings, load_secrets(settings)) | {"BACKUP_PASSPHRASE": passphrase}
            command = [sys.executable, "-m", "deploy.backup", "restore", str(file.absolute())]
            done = subprocess.run(command, check=False, env=env, stderr=subprocess.PIPE, text=True)  # noqa: S603
            if done.returncode != 0:
                raise probes.NotUp(done.stderr.strip())
    return before


def _checked(file: Path) -> tuple[str, dict[str, str]]:
    """The passphrase and the keys of a backup that is whole."""
    try:
        passphrase = BackupSettings().secret()
        with files.opened(file, passphrase) as reader:
            check_release(reader.manifest)
            read_through(reader)
            return passphrase, reader.manifest.keys
    except (Unreadable, Refused, ValueError, OSError) as error:
        raise probes.NotUp(str(error)) from None


def _check_keys(settings: LocalSettings, keys: dict[str, str], *, running: bool) -> None:
    here = read_env(settings.var / "secrets.env")
    others = [name for name, value in keys.items() if name in here and here[name] != value]
    if others and running:
        raise probes.NotUp(f"{', '.join(others)} will be others, which processes read when they start: first make down")


@contextmanager
def _stopped(settings: LocalSettings, supervisor: Supervisor) -> Iterator[None]:
    """All but the agent, when they run; they start again whatever happens."""
    names = [process.name for process in suite(settings) if process.name != "agent"] if supervisor.is_running() else []
    for name in reversed(names):
        supervisor.stop_process(name)
    try:
        yield
    finally:
        for name in names:
            supervisor.start_process(name)


@contextmanager
def _moved_aside(settings: LocalSettings) -> Iterator[Path | None]:
    """The database and the keys of before; both come back after an error."""
    stamp = time.strftime("before-%Y%m%dT%H%M%S")
    data, keys = settings.var / "postgres", settings.var / "secrets.env"
    kept = data.with_name(f"{data.name}.{stamp}") if data.exists() else None
    if kept is not None:
        data.rename(kept)
    known = read_env(keys)
    try:
        yield kept
    except BaseException:
        shutil.rmtree(data, ignore_errors=True)
        if kept is not None:
            kept.rename(data)
        write_env(keys, known) if known else keys.unlink(missing_ok=True)
        raise
    if known:
        write_env(keys.with_name(f"{keys.name}.{stamp}"), known)


@contextmanager
def _postgres(settings: LocalSettings) -> Iterator[None]:
    """The embedded Postgres, only for this."""
    with (settings.var / "restore.log").open("ab") as log:
        command = [sys.executable, "-m", "deploy.local.postgres", str(settings.var)]
        server = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603
    try:
        url = postgres.url(settings.var)
        probes.wait_until("Postgres did not answer", lambda: probes.postgres_answers(url), seconds=_SECONDS)
        asyncio.run(separate(url, {name: service_database_url(settings, name) for name in SERVICES}))
        yield
    finally:
        server.terminate()
        server.wait(_SECONDS)
