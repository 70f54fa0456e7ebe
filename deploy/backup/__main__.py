"""`python -m deploy.backup`: backups of an installation, with the environment of its services. They print what was
asked for, only; words go to standard error."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from asyncpg import InterfaceError, PostgresError
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from deploy.backup import files, installation, restore, schedule
from deploy.backup.records import Manifest
from deploy.backup.sealed_file import Unreadable
from deploy.backup.settings import BackupSettings
from services.kernel import logs, metrics
from services.kernel.database_errors import translate_database_error


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    logs.configure("backup", "info" if options.command == "scheduled" else "warning")
    try:
        return _run(options)
    except KeyboardInterrupt:
        return 130
    except (Unreadable, restore.Refused, ValueError, OSError, PostgresError, InterfaceError, SQLAlchemyError) as error:
        sys.stderr.write(f"{options.command}: {_explained(error)}\n")
        return 1


def _run(options: argparse.Namespace) -> int:
    settings = BackupSettings()
    match options.command:
        case "backup":
            passphrase = settings.secret(twice=True)
            end = asyncio.run(files.create(options.file, passphrase, history=not options.without_history))
            sys.stderr.write(f"{sum(end.rows.values())} rows and the keys are in {options.file}\n")
        case "scheduled":
            if settings.folder is None:
                raise ValueError("BACKUP_FOLDER says where backups are kept: set it")
            if options.once:
                asyncio.run(schedule.once(settings, settings.folder, settings.secret()))
                return 0
            if settings.metrics_address:
                metrics.serve(settings.metrics_address, settings.metrics_token)
            asyncio.run(schedule.run(settings, settings.folder, settings.secret()))
        case _:
            _restore(options, settings.secret())
    return 0


def _restore(options: argparse.Namespace, passphrase: str) -> None:
    with files.opened(options.file, passphrase) as reader:
        if options.keys:
            sys.stdout.writelines(f"{name}={value}\n" for name, value in reader.manifest.keys.items())
            return
        restore.check_release(reader.manifest)
        if options.check:
            end = restore.read_through(reader)
            sys.stdout.writelines(f"{line}\n" for line in _described(reader.manifest, end.rows))
            return
        restore.check_keys(reader.manifest, installation.keys())
        end = asyncio.run(restore.restore(reader, installation.databases(), replace=options.replace))
    sys.stderr.write(f"{sum(end.rows.values())} rows are back, as they were at {reader.manifest.made_at}\n")


def _described(manifest: Manifest, rows: dict[str, int]) -> list[str]:
    revisions = ", ".join(f"{service} {revision}" for service, revision in manifest.revisions.items())
    return [
        f"release {manifest.release}, made at {manifest.made_at}, tables of {revisions}",
        f"keys: {', '.join(manifest.keys)}",
        *(f"{table}\t{count}" for table, count in rows.items() if count),
        "complete and undamaged",
    ]


def _explained(error: Exception) -> str:
    """What an operator can do about an error."""
    if isinstance(error, ValidationError):
        names = ", ".join(str(problem["loc"][0]).upper() for problem in error.errors())
        return f"missing or wrong in the environment: {names}"
    known = translate_database_error(error)
    return known.message if known is not None else str(error) or repr(error)


def _parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="admin", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)
    backup = commands.add_parser("backup", help="database and keys into a new file; services may run meanwhile")
    backup.add_argument("file", type=Path)
    backup.add_argument("--without-history", action="store_true", help="leave out logs, events and samples")
    back = commands.add_parser("restore", help="bring a backup into an empty database; services must not run")
    back.add_argument("file", type=Path)
    what = back.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="only read all of it, and tell what is in it")
    what.add_argument("--keys", action="store_true", help="only print the secret settings that belong to it")
    what.add_argument("--replace", action="store_true", help="remove the installation that is in the database")
    scheduled = commands.add_parser("scheduled", help="make one every BACKUP_EVERY_HOURS into BACKUP_FOLDER, for ever")
    scheduled.add_argument("--once", action="store_true", help="make one now, remove those too many, and end")
    return root


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
