"""Authentication of every RPC in every service: deny by default (docs/spec/auth_grid.md section 1.2)."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

from kontena.common.v1 import options_pb2
from services.kernel import callers, scopes
from services.kernel.cluster_token import ClusterTokens
from services.kernel.errors import Unauthenticated
from services.kernel.methods import DEFAULT_LIMIT, Method, describe, service_name
from services.kernel.principal import Principal

# Resolves an access token of a user; raises Unauthenticated.
Introspect = Callable[[str], Awaitable[Principal]]

# Takes a function that is called with the id of each user whose tokens or rights changed; empty means everybody.
OnChange = Callable[[Callable[[str], None]], None]

_HEALTH_AND_REFLECTION = ("/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/")


class Authenticator:
    """Decides who calls, from the audience of the method and the `authorization` metadata."""

    def __init__(
        self, tokens: ClusterTokens, introspect: Introspect, servicers: Iterable[object], on_change: OnChange
    ) -> None:
        self._tokens = tokens
        self._introspect = introspect
        self._methods = describe(map(service_name, servicers))
        self.on_change = on_change

    def method(self, path: str) -> Method | None:
        """What the protos say about the RPC at `path`; None for health, reflection and what is not served here."""
        return self._methods.get(path)

    def is_for_users(self, path: str) -> bool:
        """Whether the token that the RPC at `path` needs is one that auth_svc is asked about."""
        method = self._methods.get(path)
        elsewhere = (options_pb2.AUDIENCE_INTERNAL, options_pb2.AUDIENCE_AGENT)
        return method is not None and not method.open and method.audience not in elsewhere

    @property
    def largest_request(self) -> int:
        """Bytes of the largest message that any method takes."""
        return max((method.request_limit for method in self._methods.values()), default=DEFAULT_LIMIT)

    async def authenticate(
        self, path: str, metadata: Mapping[str, str], certified: Collection[str] | None = None
    ) -> Principal | None:
        """The caller of the RPC at `path`; None for open methods. `certified` are the names in the certificate of
        the other end, None where there is none to look at. Raises Unauthenticated, Forbidden."""
        if path.startswith(_HEALTH_AND_REFLECTION):
            return None
        method = self._methods.get(path)
        if method is None:
            raise Unauthenticated
        if method.audience == options_pb2.AUDIENCE_INTERNAL:
            principal = self._tokens.verify_service(bearer_token(metadata))
            callers.check_service(path, principal.service)
            if certified is not None:
                callers.check_certified(path, certified, principal.service)
            return principal
        if certified is not None:
            callers.check_certified(path, certified, None)
        if method.open:
            return None
        token = bearer_token(metadata)
        if method.audience == options_pb2.AUDIENCE_AGENT:
            return self._tokens.verify_node(token)
        principal = await self._introspect(token)
        scopes.check(principal, method)
        return principal


def bearer_token(metadata: Mapping[str, str]) -> str:
    """The token of an `authorization` header; the scheme is compared in any case (RFC 9110 section 11.1)."""
    scheme, _, token = metadata.get("authorization", "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    return token
