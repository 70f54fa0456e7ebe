"""What services name of the vault of their grid."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VaultNames:
    """Secrets by name and certificates by subject: those that are used, or those that exist."""

    secrets: frozenset[str] = frozenset()
    certificates: frozenset[str] = frozenset()
