"""Asks auth_svc who a token stands for; answers are kept for at most five seconds and dropped when they change."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from kontena.auth.v1 import introspection_pb2 as pb
from kontena.auth.v1.introspection_pb2_grpc import IntrospectionServiceStub
from services.kernel.client import ServiceChannel
from services.kernel.errors import Unauthenticated
from services.kernel.principal import Principal

_KEEP_SECONDS = 5.0
_MOST_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class _Entry:
    principal: Principal
    until: float


class Introspection:
    """`resolve` is the Introspect function of the authenticator; `watch` must run for as long as it is used."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._stub = channel.stub(IntrospectionServiceStub)
        self._entries: dict[bytes, _Entry] = {}
        self._generation = 0
        self._listeners: list[Callable[[str], None]] = []

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with the id of each user that changed, once the cache is right; empty means everybody."""
        self._listeners.append(listener)

    async def resolve(self, token: str) -> Principal:
        """The owner of the token. Raises Unauthenticated, or an RPC error when auth_svc does not answer."""
        key = hashlib.sha256(token.encode()).digest()
        entry = self._entries.get(key)
        now = time.monotonic()
        if entry is not None and entry.until > now:
            return entry.principal
        generation = self._generation
        principal, lifetime = decode(await self._stub.IntrospectToken(pb.IntrospectTokenRequest(token=token)))
        # An answer that was on its way while something changed may be old already: use it once, do not keep it.
        if generation == self._generation:
            self._keep(key, _Entry(principal, now + min(_KEEP_SECONDS, lifetime)))
        return principal

    async def watch(self) -> None:
        """Follow invalidations; runs until the stream breaks, which raises or returns."""
        try:
            async for change in self._stub.WatchInvalidations(pb.WatchInvalidationsRequest(), wait_for_ready=True):
                self._forget(change.user_id)
        finally:
            self._forget("")

    def _keep(self, key: bytes, entry: _Entry) -> None:
        if len(self._entries) >= _MOST_ENTRIES:
            self._entries.clear()
        self._entries[key] = entry

    def _forget(self, user_id: str) -> None:
        self._generation += 1
        if not user_id:
            self._entries.clear()
        for key in [key for key, entry in self._entries.items() if entry.principal.user_id == user_id]:
            del self._entries[key]
        for listener in self._listeners:
            listener(user_id)


def decode(response: pb.IntrospectTokenResponse) -> tuple[Principal, float]:
    """The principal and how many seconds it stays valid. Raises Unauthenticated for a token that is no good."""
    if not response.HasField("principal"):
        raise Unauthenticated("Token expired" if response.expired else "Invalid token")
    found = response.principal
    expires_at = found.expires_at.ToDatetime(UTC) if found.HasField("expires_at") else None
    lifetime = (expires_at - datetime.now(UTC)).total_seconds() if expires_at is not None else _KEEP_SECONDS
    principal = Principal(
        kind="user",
        user_id=found.user_id,
        email=found.email,
        roles=frozenset(found.roles),
        grid_ids=frozenset(found.grid_ids),
        scopes=frozenset(found.scopes),
        token_id=found.token_id,
        expires_at=expires_at,
    )
    return principal, lifetime
