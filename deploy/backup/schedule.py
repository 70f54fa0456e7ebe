"""Backups that are made by themselves: a new one in time, and then the oldest go."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import Gauge

from deploy.backup.files import create
from deploy.backup.settings import BackupSettings
from services.kernel.logs import get_logger

log = get_logger(__name__)

_LAST = Gauge("backup_last_success_timestamp_seconds", "When the newest backup in the folder was made.")
_FORM = "kontena-%Y%m%dT%H%M%SZ.backup"
_AGAIN_SECONDS = 60.0
_LONGEST_SLEEP = 3600.0


def made(folder: Path) -> list[tuple[datetime, Path]]:
    """The scheduled backups of a folder, oldest first; other files are not ours."""
    found = []
    for file in folder.glob("kontena-*.backup"):
        try:
            found.append((datetime.strptime(file.name, _FORM).replace(tzinfo=UTC), file))
        except ValueError:
            continue
    return sorted(found)


def due(last: datetime | None, every: timedelta, now: datetime) -> timedelta:
    """How long until the next one; nothing when it is time. A clock that was set back delays none by more than one
    interval."""
    return timedelta(0) if last is None else min(max(last + every - now, timedelta(0)), every)


def superfluous(files: list[tuple[datetime, Path]], keep: int) -> list[Path]:
    """Those that go: all but the newest `keep`."""
    return [file for _moment, file in files[:-keep]]


async def run(settings: BackupSettings, folder: Path, passphrase: str) -> None:
    """Make one after the other for ever. A failure is logged and tried again; it never removes what is there."""
    await _there(folder)
    every = timedelta(hours=settings.every_hours)
    while True:
        known = made(folder)
        _LAST.set(known[-1][0].timestamp() if known else 0.0)
        wait = due(known[-1][0] if known else None, every, datetime.now(UTC))
        if wait:
            await asyncio.sleep(min(wait.total_seconds(), _LONGEST_SLEEP))
            continue
        try:
            await _turn(settings, folder, passphrase)
        except Exception as error:
            log.error("no backup could be made, it will be tried again", cause=str(error)[:300])
            await asyncio.sleep(_AGAIN_SECONDS)


async def once(settings: BackupSettings, folder: Path, passphrase: str) -> None:
    """Make one now, for who has a clock of another kind. Raises what `create` does; then nothing is removed."""
    await _there(folder)
    await _turn(settings, folder, passphrase)


async def _there(folder: Path) -> None:
    await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)


async def _turn(settings: BackupSettings, folder: Path, passphrase: str) -> None:
    file = folder / datetime.now(UTC).strftime(_FORM)
    end = await create(file, passphrase, history=settings.history)
    old = superfluous(made(folder), settings.keep)
    for one in old:
        one.unlink()
    log.info("backup made", file=str(file), rows=sum(end.rows.values()), size=file.stat().st_size, removed=len(old))
