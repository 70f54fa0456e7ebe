"""Export and import of a grid's vault with the commands."""

import asyncio
import os
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path

from services.vault_svc.app import build
from services.vault_svc.commands import PASSPHRASE
from tests.integration.vault_svc.certificates import make
from tests.integration.vault_svc.conftest import KEY, MakeSettings
from tests.integration.vault_svc.json_caller import JsonCaller
from tests.integration.vault_svc.stand_ins import Neighbours
from tests.support.eventually import eventually
from tests.support.running import CLUSTER_SECRET, running

NEW_KEY = "the key of another installation"


def _run(url: str, address: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    known = {
        "DATABASE_URL": url,
        "CLUSTER_SECRET": CLUSTER_SECRET,
        "GRID_ADDRESS": address,
        "VAULT_KEY": KEY,
        PASSPHRASE: "a long enough passphrase",
    }
    return subprocess.run(
        [sys.executable, "-m", "services.vault_svc", *arguments],
        env=os.environ | known | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_a_grid_comes_back_byte_for_byte(
    vault_settings: MakeSettings, vault_url: str, vault_neighbours: Neighbours, tmp_path: Path
) -> None:
    command = partial(_run, vault_url, vault_neighbours.address)
    made, file = make("x.test", "www.x.test"), tmp_path / "alpha.vault"
    async with running(partial(build, vault_settings())) as served:
        api = JsonCaller(served.channel, "member")
        await api.call("SecretService.CreateSecret", grid="alpha", name="PEM", value="a value\r\n\n")
        await api.call("SecretService.CreateSecret", grid="beta", name="PEM", value="older")
        registry = {"url": "https://r.io", "username": "u", "password": "the password"}
        await api.call("ExternalRegistryService.CreateExternalRegistry", grid="alpha", **registry)
        body = {"certificate": made.certificate, "private_key": made.key, "chain": made.chain}
        await api.call("CertificateService.ImportCertificate", id="alpha/x.test", **body)

        exported = await asyncio.to_thread(command, "export", "alpha", str(file))
        assert exported.returncode == 0, exported.stderr
        data = await asyncio.to_thread(file.read_bytes)
        for secret in (b"a value", b"the password", b"PRIVATE KEY"):
            assert secret not in data
            assert secret.decode() not in exported.stderr
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        refusals = [
            (("export", "alpha", str(file)), {}, "File exists"),
            (("import", "beta", str(file)), {PASSPHRASE: "another long passphrase"}, "the passphrase is wrong"),
            (("import", "beta", str(file)), {PASSPHRASE: "short"}, "at least 12 characters"),
            (("import", "none", str(file)), {}, "there is no such grid"),
            (("import", "beta", str(file)), {"VAULT_KEY": NEW_KEY}, "Vault not configured"),
        ]
        for arguments, env, text in refusals:
            refused = await asyncio.to_thread(partial(command, *arguments, **env))
            assert refused.returncode == 1
            assert text in refused.stderr
        imported = await asyncio.to_thread(command, "import", "beta", str(file))
        assert imported.returncode == 0, imported.stderr

        assert (await api.call("SecretService.GetSecret", id="beta/PEM")).body["value"] == "a value\r\n\n"
        found = (await api.call("ExternalRegistryService.GetExternalRegistry", id="beta/r.io")).body
        assert found["username"] == "u"
        again = (await api.call("CertificateService.ExportCertificate", id="beta/x.test")).body
        assert (again["certificate"], again["chain"], again["private_key"]) == (
            made.certificate,
            "".join(made.chain),
            made.key,
        )

        async def told() -> bool:
            events = {(event, name) for event, name in vault_neighbours.audit.seen()}
            return {("export", "alpha"), ("import", "beta")} <= events

        await eventually(told)
        assert list(vault_neighbours.deploy.changed_certificates.values()).count("x.test") == 2
