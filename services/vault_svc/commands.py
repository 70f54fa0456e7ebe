"""What an operator does beside the running service: `export` and `import`, the vault of a grid to a file and back, and
`start-anew`, a vault whose key is lost."""

import asyncio
import os
import sys
from collections.abc import Awaitable
from pathlib import Path

import grpc

from kontena.grid.v1 import watch_pb2
from kontena.grid.v1.watch_pb2_grpc import GridWatchServiceStub
from services.clients.grids import Grid, GridDirectory
from services.clients.vault_users import VaultUsers
from services.kernel import audit, call, logs
from services.kernel.client import Channels
from services.kernel.db import Database
from services.kernel.errors import DomainError
from services.vault_svc.app import PROGRAM
from services.vault_svc.domain import backup as format_
from services.vault_svc.settings import Settings
from services.vault_svc.store import sealed_rows, tables
from services.vault_svc.usecases.backup import Backup
from services.vault_svc.usecases.certificate_writes import CertificateWriter
from services.vault_svc.usecases.parts import Parts
from services.vault_svc.usecases.secret_writes import SecretWriter
from services.vault_svc.usecases.usage import SecretUsers
from services.vault_svc.usecases.vault import Vault

log = logs.get_logger(__name__)

PASSPHRASE = "VAULT_EXPORT_PASSPHRASE"  # noqa: S105 -- the name of the variable.
_FOR_THE_OWNER_ONLY = 0o600


def run(command: str, *arguments: str) -> int:
    """One command from the shell; returns the exit status."""
    settings = PROGRAM.configure()
    call.start_command(f"vault_svc {command}")
    why_not = asyncio.run(refusal(_work(settings, command, *arguments)))
    if why_not:
        sys.stderr.write(f"{command}: {why_not}\n")
    return 1 if why_not else 0


def _work(settings: Settings, command: str, *arguments: str) -> Awaitable[None]:
    if command == "start-anew":
        return start_anew(settings)
    grid, file = arguments
    work = {"export": export, "import": import_}[command]
    return work(settings, grid, Path(file), os.environ.get(PASSPHRASE, ""))


async def refusal(work: Awaitable[None]) -> str:
    """Do the work; why it was not done, as its operator is told, or nothing."""
    try:
        await work
    except grpc.aio.AioRpcError as error:
        missing = error.code() is grpc.StatusCode.NOT_FOUND
        return "there is no such grid" if missing else "grid_svc does not answer"
    except (ValueError, OSError, format_.Unreadable, DomainError) as error:
        return str(error)
    return ""


async def export(settings: Settings, grid: str, file: Path, passphrase: str) -> None:
    """Write everything of the grid to a new file that only its owner may read. Raises OSError when it exists,
    ValueError for a passphrase that is too short, and what the vault and grid_svc refuse."""
    format_.check_passphrase(passphrase)
    backup, db, known = await _open(settings, grid)
    try:
        contents = await backup.read(known)
        data = await asyncio.to_thread(format_.encrypt, contents, passphrase)
        await asyncio.to_thread(_write, file, data)
        try:
            await backup.exported(known)
        except Exception:
            # Nobody has an export that the audit log does not know of.
            await asyncio.to_thread(file.unlink)
            raise
    finally:
        await db.close()
    log.info("exported the vault", grid=known.name, secrets=len(contents.secrets), file=str(file))


async def import_(settings: Settings, grid: str, file: Path, passphrase: str) -> None:
    """Bring the contents of a file into the grid, which need not be the one it was exported from. Raises Unreadable
    or ValueError, also for a wrong passphrase, and what the vault and grid_svc refuse."""
    format_.check_passphrase(passphrase)
    data = await asyncio.to_thread(file.read_bytes)
    contents = await asyncio.to_thread(format_.decrypt, data, passphrase)
    backup, db, known = await _open(settings, grid)
    try:
        counts = await backup.write(known, contents)
    finally:
        await db.close()
    log.info("imported into the vault", grid=known.name, source=contents.grid, **counts)


async def start_anew(settings: Settings) -> None:
    """Make VAULT_KEY the key of a vault whose key is lost. What was written with others stays as it is: it opens again
    with VAULT_OLD_KEYS, or is replaced by a write or an import. Raises ValidationFailed for a vault that needs none of
    this, and Unavailable."""
    db = Database(settings.database_url, pool_size=1)
    vault = Vault(db, settings.keyring())
    try:
        async with db.transaction() as tx:
            keys = await vault.start_anew(tx)
            await audit.record(tx, tables.outbox, "start anew", audit.Resource("Vault", "", ""))
            left = await sealed_rows.count_under_other_keys(tx, keys.current.id)
    finally:
        await db.close()
    log.info("the vault has a new key", current_key=keys.current.id, values_of_other_keys=left)


async def _open(settings: Settings, grid: str) -> tuple[Backup, Database, Grid]:
    channels = Channels(settings, "vault_svc")
    channel = channels.to("grid")
    db = Database(settings.database_url, pool_size=1)
    try:
        record = await channel.stub(GridWatchServiceStub).GetGridRecord(watch_pb2.GetGridRecordRequest(name=grid))
        vault = Vault(db, settings.keyring())
        await vault.unlock()
    except Exception:
        await db.close()
        raise
    finally:
        directory = GridDirectory(channel)
        # Follows nothing, so whoever may use what is written is told.
        users = SecretUsers(VaultUsers(channel))
        await channels.close()
    parts = Parts(db, directory, vault, settings)
    writer = SecretWriter(vault, settings, users, longest_value=settings.secret_value_limit)
    return Backup(parts, writer, CertificateWriter(vault, settings)), db, Grid(id=record.id, name=record.name)


def _write(file: Path, data: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FOR_THE_OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
    except OSError:
        file.unlink()
        raise
