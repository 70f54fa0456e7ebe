"""Export and import of a grid's vault with the commands."""

import asyncio
import getpass
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from services.vault_svc import commands
from services.vault_svc.domain.backup import Contents, encrypt
from tests.integration.vault_svc.certificates import Made, make
from tests.integration.vault_svc.conftest import KEY, MakeSettings
from tests.integration.vault_svc.json_caller import JsonCaller
from tests.integration.vault_svc.stand_ins import Neighbours
from tests.support.eventually import eventually
from tests.support.running import CLUSTER_SECRET

PASSPHRASE = "a long enough passphrase"


def _run(url: str, address: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    known = {
        "DATABASE_URL": url,
        "CLUSTER_SECRET": CLUSTER_SECRET,
        "GRID_ADDRESS": address,
        "VAULT_KEY": KEY,
        commands.PASSPHRASE: PASSPHRASE,
    }
    return subprocess.run(
        [sys.executable, "-m", "services.vault_svc", *arguments],
        env=os.environ | known | env,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


async def _fill(api: JsonCaller, made: Made) -> None:
    await api.call("SecretService.CreateSecret", grid="alpha", name="PEM", value="a value\r\n\n")
    await api.call("SecretService.CreateSecret", grid="beta", name="PEM", value="older")
    registry = {"url": "https://r.io", "username": "u", "password": "the password"}
    await api.call("ExternalRegistryService.CreateExternalRegistry", grid="alpha", **registry)
    body = {"certificate": made.certificate, "private_key": made.key, "chain": made.chain}
    await api.call("CertificateService.ImportCertificate", id="alpha/x.test", **body)


async def test_a_grid_comes_back_byte_for_byte(
    vault_api: JsonCaller,
    vault_settings: MakeSettings,
    vault_url: str,
    vault_neighbours: Neighbours,
    tmp_path: Path,
) -> None:
    made, file = make("x.test", "www.x.test"), tmp_path / "alpha.vault"
    await _fill(vault_api, made)
    # As a program, which is slow to start; tests/e2e shows both directions so.
    exported = await asyncio.to_thread(_run, vault_url, vault_neighbours.address, "export", "alpha", str(file))
    assert exported.returncode == 0, exported.stderr
    data = await asyncio.to_thread(file.read_bytes)
    for secret in (b"a value", b"the password", b"PRIVATE KEY"):
        assert secret not in data
        assert secret.decode() not in exported.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    await commands.import_(vault_settings(), "beta", file, PASSPHRASE)

    assert (await vault_api.call("SecretService.GetSecret", id="beta/PEM")).body["value"] == "a value\r\n\n"
    found = (await vault_api.call("ExternalRegistryService.GetExternalRegistry", id="beta/r.io")).body
    assert found["username"] == "u"
    again = (await vault_api.call("CertificateService.ExportCertificate", id="beta/x.test")).body
    assert (again["certificate"], again["chain"], again["private_key"]) == (
        made.certificate,
        "".join(made.chain),
        made.key,
    )

    async def told() -> bool:
        events = {(event, name) for event, name in vault_neighbours.audit.seen()}
        return {("export", "alpha"), ("import", "beta")} <= events

    await eventually(told)
    by = {event.user_agent for event in vault_neighbours.audit.events.values() if event.event_name == "export"}
    assert f"vault_svc export, run by {getpass.getuser()}" in by


async def test_an_import_of_what_is_there_already_tells_nobody(
    vault_api: JsonCaller, vault_settings: MakeSettings, vault_neighbours: Neighbours, tmp_path: Path
) -> None:
    vault_neighbours.deploy.users = {name: ["alpha/null/web"] for name in ("PEM", "LAST", "PROBE")}
    await vault_api.call("SecretService.CreateSecret", grid="alpha", name="PROBE", value="v")

    async def known() -> bool:
        return bool((await vault_api.call("SecretService.GetSecret", id="alpha/PROBE")).body["services"])

    await eventually(known, message="it is known who uses what")
    await vault_api.call("SecretService.DeleteSecret", id="alpha/PROBE")
    vault_neighbours.deploy.changed.clear()
    await _fill(vault_api, make("x.test"))
    file = tmp_path / "alpha.vault"
    await commands.export(vault_settings(), "alpha", file, PASSPHRASE)

    async def told() -> bool:
        return list(vault_neighbours.deploy.changed_certificates.values()) == ["x.test"] and (
            list(vault_neighbours.deploy.changed.values()) == ["PEM"]
        )

    await eventually(told)
    await commands.import_(vault_settings(), "alpha", file, PASSPHRASE)
    await vault_api.call("SecretService.CreateSecret", grid="alpha", name="LAST", value="v")

    async def later() -> bool:
        return "LAST" in vault_neighbours.deploy.changed.values()

    await eventually(later)
    assert sorted(vault_neighbours.deploy.changed.values()) == ["LAST", "PEM"]
    assert list(vault_neighbours.deploy.changed_certificates.values()) == ["x.test"]


async def test_refused_exports_and_imports_say_why_and_change_nothing(
    vault_api: JsonCaller, vault_settings: MakeSettings, tmp_path: Path
) -> None:
    await vault_api.call("SecretService.CreateSecret", grid="beta", name="PEM", value="older")
    file, settings = tmp_path / "alpha.vault", vault_settings()
    # Quick to open; the cost that exports have is tried by the other tests.
    contents = Contents(grid="alpha", secrets=[{"name": "PEM", "value": "newer"}])
    file.write_bytes(encrypt(contents, PASSPHRASE, cost=4))
    other_key = vault_settings(vault_key="the key of another installation")
    refusals = [
        (commands.export(settings, "alpha", file, PASSPHRASE), "File exists"),
        (commands.export(settings, "alpha", tmp_path / "new", "short"), "at least 12 characters"),
        (commands.import_(settings, "beta", file, "another long passphrase"), "the passphrase is wrong"),
        (commands.import_(settings, "beta", file, "short"), "at least 12 characters"),
        (commands.import_(settings, "beta", tmp_path / "none", PASSPHRASE), "No such file"),
        (commands.import_(settings, "none", file, PASSPHRASE), "there is no such grid"),
        (commands.import_(other_key, "beta", file, PASSPHRASE), "is not the key of this vault"),
        (commands.import_(vault_settings(grid_address="127.0.0.1:1"), "beta", file, PASSPHRASE), "does not answer"),
    ]
    for work, text in refusals:
        assert text in await commands.refusal(work)
    assert not (tmp_path / "new").exists()
    assert (await vault_api.call("SecretService.GetSecret", id="beta/PEM")).body["value"] == "older"
    assert await commands.refusal(commands.import_(settings, "beta", file, PASSPHRASE)) == ""
    assert (await vault_api.call("SecretService.GetSecret", id="beta/PEM")).body["value"] == "newer"


async def test_a_failed_export_is_no_export_in_the_audit_log(
    vault_api: JsonCaller, vault_settings: MakeSettings, vault_neighbours: Neighbours, sql: Any, tmp_path: Path
) -> None:
    await vault_api.call("SecretService.CreateSecret", grid="alpha", name="PEM", value="a value")
    there, settings = tmp_path / "there", vault_settings()
    there.touch()
    for file, text in ((there, "File exists"), (tmp_path / "no" / "folder", "No such file")):
        assert text in await commands.refusal(commands.export(settings, "alpha", file, PASSPHRASE))
    assert there.read_bytes() == b""
    # And what the audit log does not take is no export: nobody has the file.
    unheard = tmp_path / "unheard"
    await sql.execute("alter table vault.outbox add constraint deaf check (payload->>'event_name' <> 'export')")
    try:
        with pytest.raises(IntegrityError):
            await commands.export(settings, "alpha", unheard, PASSPHRASE)
    finally:
        await sql.execute("alter table vault.outbox drop constraint deaf")
    assert not unheard.exists()
    await sql.execute("update vault.secrets set sealed = 'x'")
    refused = await commands.refusal(commands.export(settings, "alpha", tmp_path / "closed", PASSPHRASE))
    assert "was written with another key" in refused
    assert not (tmp_path / "closed").exists()
    await vault_api.call("SecretService.CreateSecret", grid="alpha", name="LAST", value="v")

    async def later() -> bool:
        return ("create", "LAST") in vault_neighbours.audit.seen()

    await eventually(later)
    assert "export" not in {event for event, _ in vault_neighbours.audit.seen()}
