"""What a grid has of what services name: secrets, certificates, configs."""

from services.clients.certificates import CertificateResolver
from services.clients.grids import Grid
from services.clients.secrets import SecretResolver
from services.deploy_svc.domain.vault_names import VaultNames
from services.deploy_svc.store import grid_configs
from services.kernel.db import Database


class VaultDirectory:
    """Asks vault_svc, for names only: no value and no key leaves it. Configs are our own."""

    def __init__(self, db: Database, secrets: SecretResolver, certificates: CertificateResolver) -> None:
        self._db = db
        self._secrets = secrets
        self._certificates = certificates

    async def existing(self, grid: Grid, used: VaultNames) -> VaultNames:
        """Those of the names that exist; nobody is asked about nothing. Raises Unavailable."""
        secrets = await self._secrets.existing(grid.id, used.secrets)
        certificates = await self._certificates.existing(grid.id, used.certificates)
        if not used.configs:
            return VaultNames(secrets, certificates)
        async with self._db.read() as tx:
            return VaultNames(secrets, certificates, await grid_configs.existing(tx, grid.id, used.configs))
