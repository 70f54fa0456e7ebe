"""A real ACME server with a DNS, HTTP and TLS responder for its challenges, on free loopback ports."""

import asyncio
import json
import os
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.eventually import eventually
from tests.support.ports import free_port

PROGRAMS = ("pebble", "pebble-challtestsrv")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]


@dataclass(frozen=True)
class Pebble:
    """Where it is, and what it sees of the world."""

    directory: str
    ca_file: Path
    resolver: str
    management: str
    admin: str

    async def set_txt(self, name: str, content: str) -> None:
        await self._manage("set-txt", host=f"{name}.", value=content)

    async def clear_txt(self, name: str) -> None:
        await self._manage("clear-txt", host=f"{name}.")

    async def add_http01(self, token: str, content: str) -> None:
        await self._manage("add-http01", token=token, content=content)

    async def add_tlsalpn01(self, host: str, content: str) -> None:
        await self._manage("add-tlsalpn01", host=host, content=content)

    async def root(self) -> str:
        """The certificate that everything it issues leads to."""
        trust = ssl.create_default_context(cafile=str(self.ca_file))
        async with httpx.AsyncClient(trust_env=False, verify=trust) as client:
            return (await client.get(f"{self.admin}/roots/0")).raise_for_status().text

    async def _manage(self, verb: str, **body: str) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            (await client.post(f"{self.management}/{verb}", json=body)).raise_for_status()

    def settings(self) -> dict[str, Any]:
        return {
            "acme_endpoint": self.directory,
            "acme_ca_file": str(self.ca_file),
            "acme_dns_resolver": self.resolver,
        }


def certificate_of_server(folder: Path) -> None:
    """Make `cert.pem`, which is to be trusted, and `key.pem`."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(names, critical=False)
        .sign(key, SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(private)


@dataclass(frozen=True)
class Ports:
    """Where both programs listen on 127.0.0.1, and where challenges are looked for at the address of a domain."""

    acme: int
    admin: int
    dns: int
    management: int
    http: int
    tls: int

    @classmethod
    def free(cls) -> "Ports":
        """Any."""
        return cls(*(free_port() for _ in range(6)))


@asynccontextmanager
async def pebble(
    folder: Path, *, ports: Ports | None = None, domains_at: str = "127.0.0.1", **settings: str
) -> AsyncIterator[Pebble]:
    """Run both programs until the block ends. `settings` are environment variables of pebble.

    All domains are at `domains_at`. There, the responder publishes challenges unless `ports` are given: then something
    else has to. `folder` holds the certificate of the server, also made before by `certificate_of_server`.
    """
    others_publish, ports = ports is not None, ports or Ports.free()
    if not (folder / "cert.pem").exists():
        certificate_of_server(folder)
    config = {
        "listenAddress": f"127.0.0.1:{ports.acme}",
        "managementListenAddress": f"127.0.0.1:{ports.admin}",
        "certificate": str(folder / "cert.pem"),
        "privateKey": str(folder / "key.pem"),
        "httpPort": ports.http,
        "tlsPort": ports.tls,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": "EAB" in settings,
        "externalAccountMACKeys": {"kid-1": settings.pop("EAB")} if "EAB" in settings else {},
    }
    (folder / "config.json").write_text(json.dumps({"pebble": config}))
    responder = ["pebble-challtestsrv", "-defaultIPv4", domains_at, "-defaultIPv6", "", "-https01", ""]
    responder += ["-dns01", f"127.0.0.1:{ports.dns}", "-management", f"127.0.0.1:{ports.management}"]
    responder += ["-http01", "" if others_publish else f"127.0.0.1:{ports.http}"]
    responder += ["-tlsalpn01", "" if others_publish else f"127.0.0.1:{ports.tls}"]
    server = ["pebble", "-config", str(folder / "config.json"), "-dnsserver", f"127.0.0.1:{ports.dns}"]
    server.append("-strict=false")
    env = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "15", "PEBBLE_AUTHZREUSE": "100"} | settings
    running = Pebble(
        f"https://127.0.0.1:{ports.acme}/dir",
        folder / "cert.pem",
        f"127.0.0.1:{ports.dns}",
        f"http://127.0.0.1:{ports.management}",
        f"https://127.0.0.1:{ports.admin}",
    )
    async with _process(responder, {}), _process(server, env):
        await _ready(running)
        yield running


@asynccontextmanager
async def _process(command: list[str], env: dict[str, str]) -> AsyncIterator[None]:
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, env=os.environ | env, stdout=quiet, stderr=quiet)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def _ready(running: Pebble) -> None:
    trust = ssl.create_default_context(cafile=str(running.ca_file))

    async def answers() -> bool:
        async with httpx.AsyncClient(trust_env=False, verify=trust) as client:
            try:
                await running.set_txt("ready.test", "x")
                return (await client.get(running.directory)).status_code == 200
            except httpx.TransportError:
                return False

    await eventually(answers, message="pebble answers")
