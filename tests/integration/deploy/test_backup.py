"""An installation goes through a backup and is the same afterwards; whatever is wrong leaves everything as it was."""

import asyncio
import shutil
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.backup import files, restore, schedule
from deploy.backup.__main__ import main
from deploy.backup.installation import SERVICE_SETTINGS, migrations
from deploy.backup.settings import BackupSettings
from deploy.database_roles import separate
from services.kernel.db import Database, engine_of
from services.kernel.migrations import upgrade
from services.vault_svc.domain.keys import keyring
from services.vault_svc.usecases.vault import Vault
from tests.support.eventually import eventually
from tests.support.installation import contents
from tests.support.postgres import TestPostgres

pytestmark = pytest.mark.slow

PASSPHRASE = "correct horse battery"
KEY = "the key of the vault of tests"
FILL = """
    insert into auth.users (id, email) values ('u1', 'a@example.com');
    insert into deploy.event_logs (grid_id, type, severity, message)
        select 'g1', 'grid', 1, E'line\\t' || n || E'\\n\\\\' from generate_series(1, 500) n;
"""
Place = Callable[..., None]
Output = pytest.CaptureFixture[str]


async def migrated(url: str, *, deploy: str = "head") -> None:
    engine = engine_of(url)
    async with engine.begin() as connection:
        for service in SERVICE_SETTINGS:
            revision = deploy if service == "deploy" else "head"
            await connection.run_sync(upgrade, migrations(service), service, revision)
    await engine.dispose()


async def with_vault_key(url: str) -> None:
    db = Database(url, pool_size=1)
    await Vault(db, keyring(KEY)).unlock()
    await db.close()


def sql(url: str, statements: str) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            one = statements.startswith("select")
            return await (connection.fetchval if one else connection.execute)(statements)
        finally:
            await connection.close()

    return asyncio.run(run())


def place_at(patch: pytest.MonkeyPatch, url: str, **keys: str) -> None:
    for name in ("VAULT_OLD_KEYS", "TOKEN_DIGEST_KEY"):
        patch.delenv(name, raising=False)
    settings = {"CLUSTER_SECRET": "a cluster secret of tests", "VAULT_KEY": KEY, "BACKUP_PASSPHRASE": PASSPHRASE}
    for name, value in (settings | {"DATABASE_URL": url} | keys).items():
        patch.setenv(name, value)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    """Makes the environment that of an installation."""
    return partial(place_at, monkeypatch)


@pytest.fixture(scope="module")
def filled(postgres: TestPostgres) -> str:
    """Tests only read it."""
    url = postgres.database()
    asyncio.run(migrated(url))
    sql(url, FILL)
    asyncio.run(with_vault_key(url))
    return url


@pytest.fixture
def copied(filled: str, postgres: TestPostgres) -> str:
    """A copy to change."""
    name, copy = urlsplit(filled).path[1:], f"copy{uuid.uuid4().hex[:8]}"
    sql(postgres.url, f"create database {copy} template {name}")
    return filled.replace(f"/{name}?", f"/{copy}?")


@pytest.fixture(scope="module")
def made(filled: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("backups") / "one.backup"
    with pytest.MonkeyPatch.context() as patch:
        place_at(patch, filled)
        assert main(["backup", str(file)]) == 0
    return file


@pytest.fixture
def backup(made: Path, tmp_path: Path) -> Path:
    """A backup of `filled`, to be damaged at will."""
    return Path(shutil.copy(made, tmp_path))


def refused(capsys: Output, *words: str) -> str:
    capsys.readouterr()
    assert main(words) == 1
    return capsys.readouterr().err


def test_everything_comes_back(filled: str, made: Path, postgres: TestPostgres, place: Place, capsys: Output) -> None:
    assert made.stat().st_mode & 0o777 == 0o600
    empty = postgres.database()
    place(empty)
    assert main(["restore", "--check", str(made)]) == 0
    told = capsys.readouterr().out
    assert "auth.users\t1\n" in told
    assert "deploy.event_logs\t500\n" in told
    assert "complete and undamaged" in told
    assert main(["restore", str(made)]) == 0
    assert asyncio.run(contents(empty)) == asyncio.run(contents(filled))
    # Counters go on where they were.
    sql(empty, "insert into deploy.event_logs (grid_id, type, severity, message) values ('g1', 'grid', 1, '')")
    assert sql(empty, "select max(id) from deploy.event_logs") == 501


def test_the_keys_are_in_it_and_cannot_be_read_from_outside(
    filled: str, made: Path, place: Place, capsys: Output
) -> None:
    place(filled)
    assert main(["restore", "--keys", str(made)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"VAULT_KEY={KEY}" in lines
    assert "CLUSTER_SECRET=a cluster secret of tests" in lines
    assert KEY.encode() not in made.read_bytes()


def test_each_service_may_have_a_role_of_its_own(
    filled: str, made: Path, postgres: TestPostgres, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty, mark = postgres.database(), uuid.uuid4().hex[:8]
    urls = {name: empty.replace("//postgres:", f"//{name}_{mark}:") for name in SERVICE_SETTINGS}
    asyncio.run(separate(empty, urls))
    place("", **{f"{name.upper()}_DATABASE_URL": url for name, url in urls.items()})
    monkeypatch.delenv("DATABASE_URL")
    assert main(["restore", str(made)]) == 0
    assert asyncio.run(contents(empty)) == asyncio.run(contents(filled))
    assert main(["backup", str(tmp_path / "again")]) == 0
    owners = "select count(*) from pg_tables where schemaname = 'vault' and tableowner <> 'vault_' || '%s'"
    assert sql(empty, owners % mark) == 0


def test_history_can_be_left_out(filled: str, postgres: TestPostgres, place: Place, tmp_path: Path) -> None:
    place(filled)
    assert main(["backup", "--without-history", str(tmp_path / "small")]) == 0
    empty = postgres.database()
    place(empty)
    assert main(["restore", str(tmp_path / "small")]) == 0
    assert sql(empty, "select count(*) from deploy.event_logs") == 0
    assert sql(empty, "select count(*) from auth.users") == 1


def test_a_backup_of_an_older_release_is_migrated(postgres: TestPostgres, place: Place, tmp_path: Path) -> None:
    old, empty = postgres.database(), postgres.database()
    asyncio.run(migrated(old, deploy="0003"))
    sql(old, FILL)
    place(old)
    assert main(["backup", str(tmp_path / "old")]) == 0
    place(empty)
    assert main(["restore", str(tmp_path / "old")]) == 0
    asyncio.run(migrated(old))
    assert asyncio.run(contents(empty)) == asyncio.run(contents(old))


def test_what_is_wrong_is_said_and_nothing_is_restored(
    backup: Path, postgres: TestPostgres, place: Place, capsys: Output
) -> None:
    empty = postgres.database()
    place(empty, BACKUP_PASSPHRASE="another passphrase")
    assert "passphrase is wrong" in refused(capsys, "restore", str(backup))
    place(empty, VAULT_KEY="another key of a vault")
    assert "VAULT_KEY here is not as in the backup" in refused(capsys, "restore", str(backup))
    place(empty)
    backup.write_bytes(backup.read_bytes()[:-20])
    assert "damaged" in refused(capsys, "restore", str(backup))
    assert sql(empty, "select count(*) from pg_namespace where nspname in ('auth', 'grid', 'deploy', 'vault')") == 0


def test_a_backup_of_a_newer_release_is_refused(
    copied: str, postgres: TestPostgres, place: Place, capsys: Output, tmp_path: Path
) -> None:
    sql(copied, "update grid.alembic_version set version_num = '9999'")
    place(copied)
    assert main(["backup", str(tmp_path / "newer")]) == 0
    place(postgres.database())
    for options in ([], ["--check"]):
        told = refused(capsys, "restore", *options, str(tmp_path / "newer"))
        assert "tables of grid (9999) are newer than this release knows" in told


def test_what_is_there_is_replaced_only_when_told_and_only_as_a_whole(
    filled: str, copied: str, backup: Path, place: Place, capsys: Output
) -> None:
    sql(copied, "insert into auth.users (id, email) values ('u9', 'z@example.com')")
    before = asyncio.run(contents(copied))
    place(copied)
    assert "--replace" in refused(capsys, "restore", str(backup))
    bad = backup.with_name("bad")
    bad.write_bytes(backup.read_bytes()[:-20])
    assert "damaged" in refused(capsys, "restore", "--replace", str(bad))
    assert asyncio.run(contents(copied)) == before
    assert main(["restore", "--replace", str(backup)]) == 0
    assert asyncio.run(contents(copied)) == asyncio.run(contents(filled))


async def test_running_services_are_noticed(made: Path, postgres: TestPostgres, place: Place, capsys: Output) -> None:
    url = await asyncio.to_thread(postgres.database)
    place(url)
    service = await asyncpg.connect(url)
    told = await asyncio.to_thread(refused, capsys, "restore", str(made))
    await service.close()
    assert "others are connected to the database (1): first stop all services" in told


def test_a_backup_without_the_key_of_the_vault_is_none(
    filled: str, place: Place, capsys: Output, tmp_path: Path
) -> None:
    for key, words in (("", "VAULT_KEY is not set, but this vault has a key"), ("another key of it", "is not the key")):
        place(filled, VAULT_KEY=key)
        assert words in refused(capsys, "backup", str(tmp_path / "none"))
    assert list(tmp_path.iterdir()) == []


async def test_backups_are_made_by_themselves_and_the_oldest_go(filled: str, place: Place, tmp_path: Path) -> None:
    place(filled)
    folder = tmp_path / "backups"
    settings = BackupSettings(folder=folder, every_hours=1.5 / 3600, keep=2, history=False)
    making = asyncio.create_task(schedule.run(settings, folder, PASSPHRASE))

    async def there() -> list[Path]:
        return [file for _moment, file in await asyncio.to_thread(schedule.made, folder)]

    [first] = (await eventually(there, within=60, message="the first is made at once"))[:1]

    async def two_others() -> bool:
        # For a moment there is one more, which was just made.
        return first not in (found := await there()) and len(found) == 2

    await eventually(two_others, within=60, message="the first is superfluous")
    making.cancel()
    await asyncio.wait([making])
    with files.opened((await there())[-1], PASSPHRASE) as reader:
        assert restore.read_through(reader).rows["auth.users"] == 1


def test_who_has_another_clock_makes_one_at_a_time(filled: str, place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    place(filled, BACKUP_FOLDER=str(folder), BACKUP_KEEP="2")
    old = [folder / f"kontena-2020010{day}T000000Z.backup" for day in (1, 2, 3)]
    for file in old:
        file.touch()
    assert main(["scheduled", "--once"]) == 0
    kept = [file for _moment, file in schedule.made(folder)]
    assert len(kept) == 2
    assert kept[0] == old[2]
    with files.opened(kept[1], PASSPHRASE) as reader:
        assert restore.read_through(reader).rows["auth.users"] == 1


def test_one_that_cannot_be_made_is_told_and_costs_none_of_before(
    filled: str, place: Place, tmp_path: Path, capsys: Output
) -> None:
    place(filled, VAULT_KEY="another key of it", BACKUP_FOLDER=str(tmp_path), BACKUP_KEEP="1")
    old = tmp_path / "kontena-20200101T000000Z.backup"
    old.touch()
    assert "is not the key" in refused(capsys, "scheduled", "--once")
    assert list(tmp_path.iterdir()) == [old]


def test_a_file_that_exists_is_not_written_over(filled: str, backup: Path, place: Place, capsys: Output) -> None:
    place(filled)
    data = backup.read_bytes()
    assert "exists already" in refused(capsys, "backup", str(backup))
    assert backup.read_bytes() == data
    assert list(backup.parent.iterdir()) == [backup]
