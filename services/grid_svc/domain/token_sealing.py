"""Encryption of join tokens (kernel/sealing.py), bound to the grid or node that each belongs to.

The key is derived from VAULT_KEY, or from CLUSTER_SECRET when there is none; tokens that were encrypted with any of
VAULT_KEY, VAULT_OLD_KEYS and CLUSTER_SECRET open.
"""

from services.grid_svc.domain.join_token import StoredToken, digest
from services.kernel import sealing
from services.kernel.sealing import Derivation, Keyring

DERIVATION = Derivation(b"kontena join tokens", b"id", b"key")


def stored(ring: Keyring, owner_id: str, token: str) -> StoredToken:
    """A token of the grid or node with this id, for the database."""
    return StoredToken(digest(token), sealing.seal(ring, _bound_to(owner_id), token.encode()), token)


def shown(ring: Keyring, owner_id: str, token: StoredToken) -> str:
    """The token itself. Raises Undecryptable, which names the owner only."""
    if token.sealed is None or token.clear:
        return token.clear
    name = f"the join token of {owner_id}"
    return sealing.unseal(ring, _bound_to(owner_id), token.sealed, name, name).decode()


def _bound_to(owner_id: str) -> bytes:
    return b"grid.join_token\0" + owner_id.encode()
