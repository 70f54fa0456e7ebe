"""Short-lived HS256 tokens (RFC 7519) of the suite itself: one kind for services, one for node sessions.

Both are made from CLUSTER_SECRET; the audience keeps one from being used as the other.
"""

import time

import jwt

from services.kernel.errors import Unauthenticated
from services.kernel.principal import NodeSession, Principal

_SERVICE = "kontena-service"
_NODE = "kontena-node"
_LIFETIME = 300
NODE_LIFETIME = 3600


class ClusterTokens:
    """Issues and verifies tokens; verification raises Unauthenticated and never says more than needed."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._cached: tuple[float, str] = (0.0, "")

    def for_service(self, service: str) -> str:
        """A token that names the calling service; the same one is handed out until half its life is over."""
        now = time.time()
        if self._cached[0] < now:
            token = self._encode({"sub": service, "aud": _SERVICE, "exp": int(now) + _LIFETIME})
            self._cached = (now + _LIFETIME / 2, token)
        return self._cached[1]

    def for_node(self, session: NodeSession) -> str:
        """A session token that an agent shows to the other services for NODE_LIFETIME seconds."""
        claims = {"sub": session.node_id, "grid": session.grid_id, "session": session.number, "aud": _NODE}
        return self._encode({**claims, "exp": int(time.time()) + NODE_LIFETIME})

    def verify_service(self, token: str) -> Principal:
        """The service behind a token."""
        return Principal(kind="service", service=str(self._decode(token, _SERVICE)["sub"]))

    def verify_node(self, token: str) -> Principal:
        """The node session behind a token."""
        claims = self._decode(token, _NODE)
        session = NodeSession(str(claims["grid"]), str(claims["sub"]), int(str(claims["session"])))
        return Principal(kind="node", node=session)

    def _encode(self, claims: dict[str, object]) -> str:
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def _decode(self, token: str, audience: str) -> dict[str, object]:
        try:
            claims: dict[str, object] = jwt.decode(
                token, self._secret, algorithms=["HS256"], audience=audience, options={"require": ["exp", "sub", "aud"]}
            )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("Token expired") from None
        except jwt.InvalidTokenError:
            raise Unauthenticated from None
        return claims
