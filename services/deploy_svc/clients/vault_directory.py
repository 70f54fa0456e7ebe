"""What the vault of a grid has."""

from services.clients.certificates import CertificateResolver
from services.clients.grids import Grid
from services.clients.secrets import SecretResolver
from services.deploy_svc.domain.vault_names import VaultNames


class VaultDirectory:
    """Asks vault_svc, for names only: no value and no key leaves it."""

    def __init__(self, secrets: SecretResolver, certificates: CertificateResolver) -> None:
        self._secrets = secrets
        self._certificates = certificates

    async def existing(self, grid: Grid, used: VaultNames) -> VaultNames:
        """Those of the names that exist; nobody is asked about nothing. Raises Unavailable."""
        secrets = await self._secrets.existing(grid.id, used.secrets)
        return VaultNames(secrets, await self._certificates.existing(grid.id, used.certificates))
