"""Which services use what the vault keeps; known to deploy_svc only."""

from collections.abc import Collection, Mapping

import grpc

from services.clients.grids import Grid
from services.clients.secret_usage import SecretUsage
from services.kernel.logs import get_logger
from services.vault_svc.domain.secret import ServiceRef

log = get_logger(__name__)


class SecretUsers:
    """Answers for a whole list in one call."""

    def __init__(self, usage: SecretUsage) -> None:
        self._usage = usage

    async def of(self, grid: Grid, names: Collection[str]) -> Mapping[str, tuple[ServiceRef, ...]]:
        """Services by secret name. Empty while deploy_svc does not answer: secrets can be read and written then, too,
        and a write that is done already must not look as if it failed."""
        try:
            found = await self._usage.of_secrets(grid.id, names)
        except grpc.aio.AioRpcError as error:
            log.warning("users of secrets are not known", code=error.code().name)
            return {}
        return {name: tuple(ServiceRef(one.id, one.name) for one in users) for name, users in found.items()}
