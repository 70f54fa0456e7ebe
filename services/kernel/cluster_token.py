"""Short-lived HS256 tokens (RFC 7519) of the suite itself: one kind for services, one for node sessions.

Both are made from CLUSTER_SECRET; the audience keeps one from being used as the other. Each kind has a key of its own,
derived from the secret (RFC 5869), which signs once SEPARATE_TOKEN_KEYS is set: replicas of the release before know the
secret itself as the key only.
"""

import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.kernel.errors import Unauthenticated
from services.kernel.principal import NodeSession, Principal

_SERVICE = "kontena-service"
_NODE = "kontena-node"
_LIFETIME = 300
NODE_LIFETIME = 3600
_LIFETIMES = {_SERVICE: _LIFETIME, _NODE: NODE_LIFETIME}
# By how much the clocks of two machines may differ.
_LEEWAY = 60
SERVICES = frozenset({"auth_svc", "grid_svc", "deploy_svc", "vault_svc"})


class ClusterTokens:
    """Issues and verifies tokens; verification raises Unauthenticated and never says more than needed."""

    def __init__(self, secret: str, *, separate: bool = False) -> None:
        self._secret = secret.encode()
        self._own = {audience: _derived(self._secret, audience) for audience in _LIFETIMES}
        self._separate = separate
        self._cached: tuple[float, str] = (0.0, "")

    def for_service(self, service: str) -> str:
        """A token that names the calling service; the same one is handed out until half its life is over."""
        now = time.time()
        if self._cached[0] < now:
            self._cached = (now + _LIFETIME / 2, self._encode(_SERVICE, {"sub": service}))
        return self._cached[1]

    def for_node(self, session: NodeSession) -> str:
        """A session token that an agent shows to the other services for NODE_LIFETIME seconds."""
        claims = {"sub": session.node_id, "grid": session.grid_id, "session": session.number}
        return self._encode(_NODE, claims)

    def verify_service(self, token: str) -> Principal:
        """The service behind a token, one of SERVICES."""
        name = str(self._decode(token, _SERVICE)["sub"])
        if name not in SERVICES:
            raise Unauthenticated
        return Principal(kind="service", service=name)

    def verify_node(self, token: str) -> Principal:
        """The node session behind a token."""
        claims = self._decode(token, _NODE)
        session = NodeSession(str(claims["grid"]), str(claims["sub"]), int(str(claims["session"])))
        return Principal(kind="node", node=session)

    def _encode(self, audience: str, claims: dict[str, object]) -> str:
        now = int(time.time())
        key = self._own[audience] if self._separate else self._secret
        return jwt.encode({**claims, "aud": audience, "iat": now, "exp": now + _LIFETIMES[audience]}, key, "HS256")

    def _decode(self, token: str, audience: str) -> dict[str, Any]:
        try:
            claims = _verified(token, audience, self._own[audience])
        except jwt.InvalidSignatureError:
            claims = _verified_or_refused(token, audience, self._secret)
        except jwt.InvalidTokenError as error:
            raise _refusal(error) from None
        now, lifetime = time.time(), _LIFETIMES[audience]
        # Releases before say no `iat`.
        issued, ends = int(claims.get("iat", claims["exp"] - lifetime)), int(claims["exp"])
        if ends - issued > lifetime or issued > now + _LEEWAY:
            raise Unauthenticated
        return claims


def _verified_or_refused(token: str, audience: str, key: bytes) -> dict[str, Any]:
    try:
        return _verified(token, audience, key)
    except jwt.InvalidTokenError as error:
        raise _refusal(error) from None


def _verified(token: str, audience: str, key: bytes) -> dict[str, Any]:
    # The time of issue is judged by us, as releases before did not say it.
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=["HS256"],
        audience=audience,
        options={"require": ["exp", "sub", "aud"], "verify_iat": False},
    )
    return claims


def _refusal(error: jwt.InvalidTokenError) -> Unauthenticated:
    return Unauthenticated("Token expired") if isinstance(error, jwt.ExpiredSignatureError) else Unauthenticated()


def _derived(secret: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=b"kontena cluster tokens", info=purpose.encode()).derive(secret)
