"""Backups as files: written whole or not at all, for their owner only."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from deploy.backup.dump import dump
from deploy.backup.installation import databases, keys
from deploy.backup.records import End, RecordWriter, records
from deploy.backup.restore import Reader, Refused
from deploy.backup.sealed_file import SealedWriter, unsealed
from services.kernel.db import Database
from services.vault_svc.domain.keys import keyring
from services.vault_svc.usecases.vault import Vault

_FOR_THE_OWNER_ONLY = 0o600


async def create(file: Path, passphrase: str, *, history: bool = True) -> End:
    """Write a backup of the installation in the environment to a new file. Raises FileExistsError; Refused when the
    keys here are not those of the database; and what Postgres and the disk say."""
    urls, secrets = databases(), keys()
    await _check_vault_key(urls["vault"], secrets)
    with _new(file) as out:
        writer = SealedWriter(out, passphrase)
        end = await dump(urls, secrets, RecordWriter(writer), history=history)
        writer.close()
    return end


@contextmanager
def opened(file: Path, passphrase: str) -> Iterator[Reader]:
    """A backup to read. Raises Unreadable and OSError, some of it only while it is read."""
    with file.open("rb") as source:
        yield Reader(records(unsealed(source, passphrase)))


async def _check_vault_key(url: str, secrets: Mapping[str, str]) -> None:
    """A backup of secrets that nobody can open is none."""
    db = Database(url, pool_size=1)
    try:
        known = keyring(secrets.get("VAULT_KEY", ""), secrets.get("VAULT_OLD_KEYS", ""))
        if why_not := await Vault(db, known).why_not():
            raise Refused(why_not)
    finally:
        await db.close()


@contextmanager
def _new(file: Path) -> Iterator[BinaryIO]:
    """A file that has its name only once all of it is on the disk."""
    partial = file.with_name(f"{file.name}.partial")
    if file.exists():
        raise FileExistsError(f"{file} exists already; a backup goes to a new file")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FOR_THE_OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        # Unlike a rename, a link never replaces what somebody else put there meanwhile.
        os.link(partial, file)
    finally:
        partial.unlink()
