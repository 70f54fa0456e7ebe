"""What services name of the vault and of the configs of their grid."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VaultNames:
    """Secrets and configs by name, certificates by subject: those that are used, or those that exist."""

    secrets: frozenset[str] = frozenset()
    certificates: frozenset[str] = frozenset()
    configs: frozenset[str] = frozenset()
