"""What nearly every use case of the vault works with."""

from dataclasses import dataclass

from services.clients.grids import GridDirectory
from services.kernel.db import Database
from services.vault_svc.domain.quotas import VaultQuotas
from services.vault_svc.usecases.vault import Vault


@dataclass(frozen=True, slots=True)
class Parts:
    """Made once, by the composition root."""

    db: Database
    grids: GridDirectory
    vault: Vault
    quotas: VaultQuotas


class UseCases:
    """Base of use cases that work with them."""

    def __init__(self, parts: Parts) -> None:
        self._db = parts.db
        self._grids = parts.grids
        self._vault = parts.vault
        self._quotas = parts.quotas
