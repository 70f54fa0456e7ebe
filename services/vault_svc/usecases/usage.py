"""Which services use what the vault keeps, as deploy_svc tells."""

import asyncio
from collections.abc import Collection, Mapping

from services.clients.grids import ADMINS, Grid
from services.clients.secret_usage import CERTIFICATE_CHANGED, SECRET_CHANGED, SecretUsage
from services.clients.vault_users import VaultUsers
from services.kernel.db import Database
from services.kernel.errors import Forbidden
from services.kernel.logs import get_logger
from services.kernel.principal import Principal
from services.vault_svc.domain.secret import ServiceRef
from services.vault_svc.store import tables

log = get_logger(__name__)

_TOLD_SECONDS = 4.0


class SecretUsers:
    """Answers from what deploy_svc told last, without asking it."""

    def __init__(self, users: VaultUsers) -> None:
        self._users = users

    def of(self, grid: Grid, names: Collection[str]) -> Mapping[str, tuple[ServiceRef, ...]] | None:
        """Services by secret name. None while deploy_svc has not told any yet."""
        found = self._users.of_secrets(grid.id, names)
        if found is None:
            return None
        return {name: tuple(ServiceRef(one.id, one.name) for one in users) for name, users in found.items()}

    def are_told(self, grid_id: str, name: str) -> bool:
        """Whether deploy_svc is told of a new value: not when nobody uses the secret, which then nobody waits for. A
        service that begins to use it gets the value when it is deployed (docs/adr/0098-unused-secrets-are-not-told.md).
        """
        return not self._users.is_unused(grid_id, name)


class HostLevelUsers:
    """Keeps the secrets of services that reach their nodes to those who may change such services: a value is what a
    container is given, so whoever writes it changes the service (docs/adr/0073-host-level-attributes.md)."""

    def __init__(self, usage: SecretUsage, users: SecretUsers) -> None:
        self._usage = usage
        self._users = users

    async def check(self, principal: Principal, grid: Grid, *names: str) -> None:
        """The caller may write or remove these secrets. Raises Forbidden, and Unavailable while deploy_svc cannot be
        asked who uses them."""
        if grid.host_access != ADMINS or principal.is_grid_admin(grid.id):
            return
        used = [name for name in names if self._users.are_told(grid.id, name)]
        if not used:
            return
        for name, services in (await self._usage.of_secrets(grid.id, used)).items():
            for service in services:
                if service.host_level:
                    raise Forbidden(
                        f"The secret {name} is used by {service.id}, whose {service.host_level} reach the node, which "
                        f"only admins of the grid may use: host_access of grid {grid.name} is {ADMINS}",
                        reason="HOST_ACCESS",
                    )


class Redeploys:
    """Lets an answer to a writer come after the deploys that the write causes are queued.

    Without it a service that the writer deploys next could be deployed a second time, for a value that it has already.
    """

    def __init__(self, db: Database, users: SecretUsers) -> None:
        self._db = db
        self._users = users

    async def of_secrets(self, grid: Grid, *names: str) -> None:
        """Wait until deploy_svc knows of what was written. At most four seconds, and less when it does not answer: it
        learns it later then."""
        told = [name for name in names if self._users.are_told(grid.id, name)]
        await asyncio.gather(*(self._queued(SECRET_CHANGED, {"grid_id": grid.id, "name": name}) for name in told))

    async def of_certificate(self, grid: Grid, subject: str) -> None:
        """The same for a certificate."""
        await self._queued(CERTIFICATE_CHANGED, {"grid_id": grid.id, "subject": subject})

    async def _queued(self, topic: str, payload: Mapping[str, str]) -> None:
        try:
            told = await tables.outbox.delivered(self._db, topic, payload, within=_TOLD_SECONDS)
        except Exception as error:
            # The write is done already, and must not look as if it failed.
            log.warning("not known whether services were told", topic=topic, error=repr(error)[:300])
        else:
            if not told:
                log.warning("services are told later of what was written", topic=topic, **payload)
