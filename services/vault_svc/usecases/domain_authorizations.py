"""What members of a grid do with domain authorizations (docs/spec/vault.md sections 4.2 and 5.4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from services.clients.grids import Grid
from services.clients.secret_usage import SecretUsage
from services.kernel import audit
from services.kernel.errors import DomainError, Unavailable, ValidationFailed, required
from services.kernel.logs import get_logger
from services.kernel.pages import WHOLE, Listing, Page
from services.kernel.principal import Principal
from services.vault_svc.domain import authorization as rules
from services.vault_svc.domain.acme import NOT_REGISTERED, AcmeProblem, refusal
from services.vault_svc.domain.authorization import Authorization, AuthorizationInput
from services.vault_svc.domain.domain_name import normalize
from services.vault_svc.domain.resource_id import split
from services.vault_svc.store import authorizations as store
from services.vault_svc.store import tables
from services.vault_svc.usecases.acme_accounts import AcmeAccounts
from services.vault_svc.usecases.challenges import Challenges
from services.vault_svc.usecases.parts import Parts, UseCases

log = get_logger(__name__)

# For what is only shown: nobody waits long to see it.
_GLANCE_SECONDS = 0.3
NO_ACCOUNT = ValidationFailed({"acme_client": NOT_REGISTERED})
_REGISTRATION_MISSING = ValidationFailed({"le_registration": "Let's Encrypt registration missing"})


@dataclass(frozen=True, slots=True)
class AuthorizationView:
    """An authorization as callers see it."""

    grid: str
    authorization: Authorization
    status: str


class DomainAuthorizations(UseCases):
    def __init__(self, parts: Parts, accounts: AcmeAccounts, challenges: Challenges, usage: SecretUsage) -> None:
        super().__init__(parts)
        self._accounts = accounts
        self._challenges = challenges
        self._usage = usage

    async def of_grid(self, principal: Principal, grid_name: str, page: Page = WHOLE) -> Listing[AuthorizationView]:
        """All authorizations of a grid by domain."""
        grid = await self._grids.accessible(principal, grid_name)
        async with self._db.read() as tx:
            found = await store.of_grid(tx, grid.id, page=page)
        return Listing(await self._views(grid, found), found.next)

    async def show(self, principal: Principal, authorization_id: str) -> AuthorizationView:
        """One authorization. Raises NotFound."""
        grid_name, domain = split(authorization_id)
        grid = await self._grids.accessible(principal, grid_name)
        async with self._db.read() as tx:
            found = required(await store.find(tx, grid.id, normalize(domain) or ""))
        return (await self._views(grid, [found]))[0]

    async def authorize(self, principal: Principal, grid_name: str, domain: str | None) -> Authorization:
        """Start a dns-01 authorization with a record to set, as the first clients ask. Raises ValidationFailed,
        AcmeUnreachable."""
        grid = await self._grids.changeable(principal, grid_name)
        self._vault.keyring()
        given = rules.check_new(domain, None, None)
        return await self._start(grid, given, NO_ACCOUNT, event="authorize", fresh=True)

    async def create(
        self,
        principal: Principal,
        grid_name: str,
        domain: str | None,
        authorization_type: str | None,
        linked_service: str | None,
    ) -> AuthorizationView:
        """Start an authorization in place of an older one of the domain. Raises ValidationFailed, AcmeUnreachable."""
        grid = await self._grids.changeable(principal, grid_name)
        self._vault.keyring()
        given = rules.check_new(domain, authorization_type, linked_service)
        await self._check_link(grid, given)
        found = await self._start(grid, given, _REGISTRATION_MISSING, event="create", fresh=False)
        return (await self._views(grid, [found]))[0]

    async def delete(self, principal: Principal, authorization_id: str) -> None:
        """Remove an authorization, at the authority too when that can be done. Raises NotFound."""
        grid_name, domain = split(authorization_id)
        grid = await self._grids.changeable(principal, grid_name)
        self._vault.keyring()
        async with self._db.transaction() as tx:
            found = required(await store.delete(tx, grid.id, normalize(domain) or ""))
            await audit.record(tx, tables.outbox, "delete", _resource(grid, found))
        try:
            async with self._accounts.exclusive(grid):
                conversation = await self._accounts.open(grid, NO_ACCOUNT)
                await conversation(lambda session: session.deactivate(found.url))
        except (AcmeProblem, DomainError) as error:
            log.info("authorization is not given up at the authority", domain=found.domain, reason=str(error)[:300])

    async def renew(self, grid: Grid, old: Authorization) -> Authorization:
        """As `create`, for the renewal loop. Raises ValidationFailed, AcmeUnreachable."""
        given = AuthorizationInput(old.domain, old.type, old.linked_service)
        await self._check_link(grid, given)
        return await self._start(grid, given, NO_ACCOUNT, event="create", fresh=False)

    async def status(self, grid: Grid, authorization: Authorization) -> str:
        """What callers see of one authorization."""
        return (await self._views(grid, [authorization]))[0].status

    async def _start(
        self, grid: Grid, given: AuthorizationInput, missing: ValidationFailed, *, event: str, fresh: bool
    ) -> Authorization:
        async with self._db.read() as tx:
            if await store.find(tx, grid.id, given.domain) is None:
                self._quotas.check("domain", {"domain_authorizations_per_grid": await store.count(tx, grid.id) + 1})
        try:
            async with self._accounts.exclusive(grid):
                conversation = await self._accounts.open(grid, missing)
                started = await self._challenges.start(conversation, grid, given, fresh=fresh)
                async with self._db.transaction() as tx:
                    await store.save(tx, started)
                    await audit.record(tx, tables.outbox, event, _resource(grid, started))
                return await self._challenges.publish(grid, started)
        except AcmeProblem as problem:
            raise (missing if problem.without_account else refusal(problem)) from None

    async def _check_link(self, grid: Grid, given: AuthorizationInput) -> None:
        if given.linked_service is None:
            return
        stack, _, name = given.linked_service.partition("/")
        service = await self._usage.linked_service(grid.id, stack, name)
        problem = rules.link_problem(given, service)
        if problem:
            raise ValidationFailed({"linked_service": problem})

    async def _views(self, grid: Grid, found: list[Authorization]) -> list[AuthorizationView]:
        states = await self._deploy_states(grid, [one.deploy_id for one in found if one.deploy_id])
        now = datetime.now(UTC)
        return [
            AuthorizationView(grid.name, one, rules.status(one, states.get(one.deploy_id or ""), now)) for one in found
        ]

    async def _deploy_states(self, grid: Grid, deploys: list[str]) -> Mapping[str, str]:
        try:
            return await self._usage.deploy_states(grid.id, deploys, _GLANCE_SECONDS)
        except Unavailable as error:
            log.warning("deploys of linked services are not known", reason=error.message)
            return {}


def _resource(grid: Grid, found: Authorization) -> audit.Resource:
    return audit.Resource("GridDomainAuthorization", found.id, found.domain, grid.id, grid.name)
