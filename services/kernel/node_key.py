"""The key of a node: what its agent signs to prove that it has the private part, and the check of that.

The statement names everything the proof is good for: one stream of the master (nonce), one engine, one start of the
agent, and the join token that this stream showed. A proof that somebody else obtained is worth nothing elsewhere.
"""

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.kernel.validation import clean

NONCE_BYTES = 32
_PURPOSE = b"kontena node sign-in 1"


@dataclass(frozen=True, slots=True)
class Statement:
    """What is signed."""

    nonce: bytes
    node_id: str
    start_id: str
    grid_token: str
    node_token: str

    def encode(self) -> bytes:
        """The bytes to sign: digests, so that no part can be mistaken for another one."""
        texts = (clean(self.node_id), clean(self.start_id), self.grid_token, self.node_token)
        parts = (_PURPOSE, self.nonce, *(text.encode() for text in texts))
        return b"".join(hashlib.sha256(part).digest() for part in parts)


def proves(public_key: bytes, signature: bytes, statement: Statement) -> bool:
    """Whether the owner of the key signed this statement."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, statement.encode())
    except (InvalidSignature, ValueError):
        return False
    return True
