"""Renews certificates before they end (docs/spec/vault.md section 5.6). Any number of replicas may run it."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

from services.clients import grid_events
from services.clients.grid_events import GridEvent
from services.clients.grids import Grid
from services.kernel import audit
from services.kernel.errors import DomainError, ValidationFailed
from services.kernel.logs import get_logger
from services.vault_svc.domain.authorization import Authorization
from services.vault_svc.domain.certificate import Certificate
from services.vault_svc.domain.renewal import pause
from services.vault_svc.store import authorizations as authorization_store
from services.vault_svc.store import certificates as store
from services.vault_svc.store import tables
from services.vault_svc.usecases.certificates import Certificates, resource
from services.vault_svc.usecases.domain_authorizations import DomainAuthorizations
from services.vault_svc.usecases.issuance import Issuance
from services.vault_svc.usecases.parts import Parts, UseCases

log = get_logger(__name__)

_EVENT = "certificate:renew"
# Longer than one renewal takes: a claim that ends by itself belonged to a process that is gone.
_HOLD = timedelta(hours=1)
# What cannot be renewed is looked at again: its authorizations may get a linked service.
_LOOK_AGAIN = timedelta(hours=1)
_DEPLOY_SECONDS = 300.0
# Nobody waits for the answer, and the authority may ask for challenges that have to be deployed first.
_ISSUE_SECONDS = 300.0
_POLL_SECONDS = 1.0
_ENOUGH = timedelta(hours=1)


class Renewals(UseCases):
    """`turn` is called periodically."""

    def __init__(
        self,
        parts: Parts,
        certificates: Certificates,
        authorizations: DomainAuthorizations,
        issuance: Issuance,
        *,
        margin: timedelta,
    ) -> None:
        super().__init__(parts)
        self._certificates = certificates
        self._authorizations = authorizations
        self._issuance = issuance
        self._margin = margin

    async def turn(self) -> None:
        """Renew what is due, one after the other; a failure of one never stops the others."""
        if await self._vault.is_open():
            while (due := await self._claim()) is not None:
                await self._try(due)

    async def _claim(self) -> Certificate | None:
        """One at a time: the claim must outlive the renewal."""
        async with self._db.transaction() as tx:
            return await store.claim_due(tx, self._margin, _HOLD)

    async def _try(self, one: Certificate) -> None:
        grid = await self._grids.by_id(one.grid_id)
        known = await self._renewable(one)
        if grid is None or known is None:
            async with self._db.transaction() as tx:
                await store.postpone(tx, one.id, _LOOK_AGAIN)
            return
        try:
            await self._renew(grid, one, known)
        except DomainError as error:
            await self._failed(grid, one, error.message)
        except Exception as error:
            await self._failed(grid, one, "Internal error")
            log.error("renewal failed", subject=one.subject, grid=grid.name, exc_info=error)
        else:
            log.info("renewed certificate", subject=one.subject, grid=grid.name)

    async def _renewable(self, one: Certificate) -> list[Authorization] | None:
        async with self._db.read() as tx:
            found = {a.domain: a for a in await authorization_store.of_grid(tx, one.grid_id, one.domains)}
        if all(domain in found and found[domain].renewable() for domain in one.domains):
            return [found[domain] for domain in one.domains]
        return None

    async def _renew(self, grid: Grid, one: Certificate, known: list[Authorization]) -> None:
        now = datetime.now(UTC)
        for authorization in known:
            valid = authorization.state == "validated" and authorization.expires_at is not None
            if not (valid and authorization.expires_at and authorization.expires_at - now > _ENOUGH):
                await self._deployed(grid, await self._authorizations.renew(grid, authorization))
        issued = await self._issuance.issue(grid, one.domains, within=_ISSUE_SECONDS)
        async with self._db.transaction() as tx:
            kept = await self._certificates.keep(tx, grid, one.domains, issued, event="renew")
            text = f"certificate {one.subject} was renewed, valid until {kept.certificate.valid_until:%Y-%m-%d}"
            await grid_events.record(tx, tables.outbox, GridEvent(grid.id, _EVENT, text))

    async def _deployed(self, grid: Grid, authorization: Authorization) -> None:
        try:
            async with asyncio.timeout(_DEPLOY_SECONDS):
                while True:
                    status = await self._authorizations.status(grid, authorization)
                    if status == "deploy_error":
                        text = f"{authorization.domain}: the deploy of {authorization.linked_service} failed"
                        raise ValidationFailed({"challenge": text})
                    if status != "deploying":
                        return
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            text = f"{authorization.domain}: the deploy of {authorization.linked_service} takes too long"
            raise ValidationFailed({"challenge": text}) from None

    async def _failed(self, grid: Grid, one: Certificate, reason: str) -> None:
        wait = pause(one.renewal_failures, random.random())
        log.warning("certificate is not renewed", subject=one.subject, grid=grid.name, reason=reason[:500])
        async with self._db.transaction() as tx:
            await store.renewal_failed(tx, one.id, reason[:2000], wait)
            await audit.record(tx, tables.outbox, "renew_failed", resource(grid, one))
            text = f"certificate {one.subject} is not renewed: {reason[:2000]}"
            await grid_events.record(tx, tables.outbox, GridEvent(grid.id, _EVENT, text, grid_events.ERROR))
