"""The WireGuard key pair of this node. The private key stays in the agent's folder and is never sent or logged."""

import base64

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.state_dir import StateDir
from agent.state_documents import KeyDocument
from services.kernel.logs import get_logger

log = get_logger(__name__)

_FILE = "wireguard.json"


class KeyPair:
    """Made once and kept, until `rotate`."""

    def __init__(self, folder: StateDir) -> None:
        self._folder = folder
        kept = folder.read(_FILE, KeyDocument).private_key
        self._private = _parsed(kept) or self._made()
        # Asked for every few seconds, and takes a multiplication on the curve.
        self._public = _public_of(self._private)

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public!r})"

    @property
    def private(self) -> str:
        """In base64, for WireGuard alone."""
        raw = (serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
        return base64.b64encode(self._private.private_bytes(*raw)).decode()

    @property
    def public(self) -> str:
        """In base64, for everybody."""
        return self._public

    def rotate(self) -> None:
        """Take another pair in its place."""
        self._private = self._made()
        self._public = _public_of(self._private)

    def _made(self) -> X25519PrivateKey:
        self._private = X25519PrivateKey.generate()
        try:
            self._folder.write(_FILE, KeyDocument(private_key=self.private))
        except OSError as error:
            # Peers follow a new key within seconds, so one that ends with this process costs them that and no more.
            log.warning(
                "the network key is not kept: this node has another one after its next start", error=repr(error)
            )
        return self._private


def _public_of(private: X25519PrivateKey) -> str:
    raw = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(private.public_key().public_bytes(*raw)).decode()


def _parsed(text: str) -> X25519PrivateKey | None:
    try:
        return X25519PrivateKey.from_private_bytes(base64.b64decode(text, validate=True))
    except ValueError:
        return None
