"""What most use cases of services, stacks, volumes and configs work with."""

from dataclasses import dataclass

from services.clients.grids import GridDirectory
from services.deploy_svc.clients.vault_directory import VaultDirectory
from services.deploy_svc.usecases.grid_quotas import GridQuotas
from services.deploy_svc.usecases.service_paths import Access
from services.kernel.db import Database


@dataclass(frozen=True, slots=True)
class Parts:
    """Made once, by the composition root."""

    db: Database
    grids: GridDirectory
    vault: VaultDirectory
    access: Access
    quotas: GridQuotas


class UseCases:
    """Base of use cases that work with them."""

    def __init__(self, parts: Parts) -> None:
        self._db = parts.db
        self._grids = parts.grids
        self._vault = parts.vault
        self._access = parts.access
        self._hosts = parts.access.hosts
        self._quotas = parts.quotas
