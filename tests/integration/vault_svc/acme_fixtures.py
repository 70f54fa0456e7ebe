"""What the tests of certificates share."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

from services.vault_svc.app import build
from services.vault_svc.settings import Settings
from tests.integration.vault_svc.json_caller import Answer, JsonCaller
from tests.integration.vault_svc.stand_ins import Neighbours
from tests.support.pebble import Pebble
from tests.support.running import running

Serve = Callable[..., AbstractAsyncContextManager["Acme"]]


class Acme(JsonCaller):
    """A member of the grids on a vault that uses a pebble."""

    ca: Pebble

    async def register(self, grid: str = "alpha") -> Answer:
        return await self.call("CertificateService.RegisterAcmeAccount", grid=grid, email="john.doe@domain.com")

    async def authorize(self, domain: str, grid: str = "alpha") -> Answer:
        return await self.call("CertificateService.AuthorizeDomain", grid=grid, domain=domain)

    async def create(self, *domains: str, grid: str = "alpha") -> Answer:
        return await self.call("CertificateService.CreateCertificate", grid=grid, domains=domains)

    async def get(self, subject: str) -> Answer:
        return await self.call("CertificateService.GetCertificate", id=f"alpha/{subject}")

    async def to_secrets(self, secret_name: str, *domains: str, **more: Any) -> Answer:
        body = {"secret_name": secret_name, "domains": domains, **more}
        return await self.call("CertificateService.CreateSecretCertificate", grid="alpha", **body)

    async def d2(self, domain: str, type_: str, linked: str | None = None) -> Answer:
        body = {"domain": domain, "authorization_type": type_} | ({"linked_service": linked} if linked else {})
        return await self.call("DomainAuthorizationService.CreateDomainAuthorization", grid="alpha", **body)

    async def d3(self, domain: str) -> Answer:
        return await self.call("DomainAuthorizationService.GetDomainAuthorization", id=f"alpha/{domain}")

    async def secret(self, name: str) -> str:
        found = await self.call("SecretService.GetSecret", id=f"alpha/{name}")
        assert found.status == 200, found
        return str(found.body["value"])

    async def http01(self, *domains: str) -> None:
        """http-01 through the service `lb`, with the challenges published."""
        for domain in domains:
            made = await self.d2(domain, "http-01", "null/lb")
            assert made.status == 201, made
            await self.ca.add_http01(**made.body["challenge_opts"])

    async def authorized(self, *domains: str) -> None:
        """dns-01 with the records set."""
        for domain in domains:
            record = await self.authorize(domain)
            assert record.status == 201, record
            await self.ca.set_txt(record.body["record_fqdn"], record.body["record_content"])


def server(make: Callable[..., Settings], ca: Pebble, neighbours: Neighbours) -> Serve:
    """Starts the vault, as often as a test wants to."""

    @asynccontextmanager
    async def serve(**changed: Any) -> AsyncIterator[Acme]:
        neighbours.deploy.linked.setdefault("null/lb", [80, 443])
        async with running(partial(build, make(**(ca.settings() | changed)))) as served:
            acme = Acme(served.channel, "member")
            acme.ca = ca
            yield acme

    return serve
