"""The key with which this node proves who it is. It is made at the first start and never leaves the state folder."""

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.state_dir import StateDir
from agent.state_documents import NodeKeyDocument
from services.kernel.logs import get_logger
from services.kernel.node_key import Statement

log = get_logger(__name__)

_FILE = "node_key.json"


class NodeKey:
    """The private key; `public` is told to the master."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw()

    def sign(self, statement: Statement) -> bytes:
        """The proof that this node makes the statement."""
        return self._private.sign(statement.encode())


def load_node_key(folder: StateDir) -> NodeKey | None:
    """The node's key, made now if there never was one.

    None when it cannot be read or kept: a key that is gone with the process would lock the node out of its grid.
    """
    kept = folder.read(_FILE, NodeKeyDocument).private_key
    if kept:
        return NodeKey(Ed25519PrivateKey.from_private_bytes(base64.b64decode(kept)))
    if folder.has(_FILE):
        log.error("the key of this node cannot be read: trying to join without it", file=_FILE)
        return None
    private = Ed25519PrivateKey.generate()
    try:
        text = base64.b64encode(private.private_bytes_raw()).decode()
        folder.write(_FILE, NodeKeyDocument(private_key=text))
    except OSError as error:
        log.error("a key for this node cannot be kept: trying to join without one", file=_FILE, error=repr(error))
        return None
    return NodeKey(private)
