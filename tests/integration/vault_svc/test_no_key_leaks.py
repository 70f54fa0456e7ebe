"""Passwords, private keys and account keys are searched for in everything the process writes."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from services.clients.certificates import CertificateResolver
from services.clients.registries import RegistryResolver
from services.kernel.client import ServiceChannel
from services.kernel.cluster_token import ClusterTokens
from tests.integration.vault_svc.acme_fixtures import Acme
from tests.integration.vault_svc.certificates import make
from tests.integration.vault_svc.conftest import KEY
from tests.integration.vault_svc.stand_ins import ALPHA, Neighbours
from tests.support.eventually import eventually
from tests.support.leaks import dump, forms, key_lines
from tests.support.pebble import MISSING, Pebble, pebble
from tests.support.ports import free_port
from tests.support.running import CLUSTER_SECRET

PASSWORD = "hunter2-é-registry"
HMAC = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"


@pytest.fixture
async def eab_ca(tmp_path: Path) -> AsyncIterator[Pebble]:
    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)} (Debian package pebble)")
    async with pebble(tmp_path / "ca", EAB=HMAC) as served:
        yield served


async def _use_everything(acme: Acme, address: str) -> tuple[list[str], str]:
    """Each verb with good and bad input; returns the values that must stay secret and the bodies of all errors."""
    create, import_ = "ExternalRegistryService.CreateExternalRegistry", "CertificateService.ImportCertificate"
    made, other = make("imported.test"), make("other.test")
    registry = {"grid": "alpha", "url": "https://r.io", "username": "u", "password": PASSWORD}
    body = {"id": "alpha/imported.test", "certificate": made.certificate, "private_key": made.key}
    done = [
        await acme.call(create, **registry),
        await acme.call(import_, **body),
        await acme.register(),
        await acme.d2("leak-tls.test", "tls-alpn-01", "null/lb"),
    ]
    await acme.authorized("leak.test")
    done += [await acme.create("leak.test"), await acme.to_secrets("LEAK", "leak.test")]
    assert [answer.status for answer in done] == [201] * len(done), done
    refused = [
        await acme.call(create, **registry),
        await acme.call(create, **(registry | {"url": "x"})),
        await acme.call(import_, **(body | {"private_key": other.key})),
        await acme.call(import_, **(body | {"private_key": other.encrypted_key()})),
        await acme.call(import_, **(body | {"private_key": other.key.replace("A", "*")})),
        await acme.call(import_, **(body | {"certificate": other.key})),
    ]
    assert {answer.status for answer in refused} == {422}
    exported = await acme.call("CertificateService.ExportCertificate", id="alpha/leak.test")
    keys = [made.key, other.key, exported.body["private_key"]]
    keys += [await acme.secret(name) for name in ("LE_PRIVATE_KEY", "LEAK_PRIVATE_KEY")]
    channel = ServiceChannel(address, ClusterTokens(CLUSTER_SECRET), "deploy_svc")
    credentials = await RegistryResolver(channel).resolve(ALPHA, ["r.io"])
    assert credentials["r.io"].password == PASSWORD
    challenges = await CertificateResolver(channel).challenges(ALPHA, ["null/lb"])
    await channel.close()
    keys += [value.reveal() for _, value in challenges["null/lb"]]
    assert all(map(key_lines, keys))
    return [PASSWORD, HMAC, KEY, *(line for key in keys for line in key_lines(key))], str(
        [answer.body for answer in refused]
    )


async def test_keys_and_passwords_reach_no_log_row_audit_event_or_error(
    vault_url: str, vault_neighbours: Neighbours, eab_ca: Pebble
) -> None:
    address = f"127.0.0.1:{free_port()}"
    vault_neighbours.deploy.linked["null/lb"] = [443]
    env = {
        "DATABASE_URL": vault_url,
        "CLUSTER_SECRET": CLUSTER_SECRET,
        "AUTH_ADDRESS": vault_neighbours.address,
        "GRID_ADDRESS": vault_neighbours.address,
        "DEPLOY_ADDRESS": vault_neighbours.address,
        "LISTEN_ADDRESS": address,
        "VAULT_KEY": KEY,
        "LOG_LEVEL": "debug",
        "ACME_EAB_KID": "kid-1",
        "ACME_EAB_HMAC_KEY": HMAC,
        **{name.upper(): value for name, value in eab_ca.settings().items()},
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.vault_svc", env=os.environ | env, stdout=pipe, stderr=pipe
    )
    output = asyncio.create_task(process.communicate())
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            await asyncio.wait_for(channel.channel_ready(), 120)
            acme = Acme(channel, "member")
            acme.ca = eab_ca

            async def open_() -> bool:
                return (await acme.call("SecretService.ListSecrets", grid="alpha")).status == 200

            await eventually(open_)
            secrets, errors = await _use_everything(acme, address)
            stored = await dump(vault_url, "vault")

            async def audited() -> Any:
                return ("create", "LE_PRIVATE_KEY") in vault_neighbours.audit.seen()

            await eventually(audited)
    finally:
        process.send_signal(signal.SIGTERM)
        logs = b"".join(await output).decode()
    assert process.returncode == 0, logs
    audit = str(vault_neighbours.audit.events)
    for place, text in {"logs": logs, "database": stored, "audit": audit, "errors": errors}.items():
        assert text, place
        for secret in secrets:
            for form in forms(secret):
                assert form not in text, f"{place} contains {form}"
