"""How many tokens that are none an address may show: each costs a question to auth_svc and its database.

Whoever shows a token that was good before is not held up by others behind the same address. Counts are of this process.
"""

import hashlib
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from services.kernel.errors import RateLimited, Unauthenticated
from services.kernel.principal import Principal

PER_MINUTE = 60
EXEMPT = frozenset({"127.0.0.1", "::1"})
_MOST_ADDRESSES = _MOST_TOKENS = 10_000
_MINUTE = 60.0


K = TypeVar("K")
V = TypeVar("V")


class FailedTokens:
    """`per_minute` at once, and so many per minute after that; 0 is no limit. `exempt` are addresses without one."""

    def __init__(
        self,
        per_minute: int = PER_MINUTE,
        exempt: Collection[str] = EXEMPT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_minute = per_minute
        self._exempt = exempt
        self._clock = clock
        # When each address will have all of its tries again; the least recent are forgotten first, as are tokens.
        self._rested: OrderedDict[str, float] = OrderedDict()
        self._good: OrderedDict[bytes, None] = OrderedDict()

    async def counted(
        self, address: str, token: str, authenticate: Callable[[], Awaitable[Principal | None]]
    ) -> Principal | None:
        """Who calls, by `authenticate`. Raises RateLimited, without asking, when too many of the address failed."""
        if not self._per_minute or not token or address in self._exempt:
            return await authenticate()
        source, digest = _network(address), hashlib.sha256(token.encode()).digest()
        if digest not in self._good:
            self._check(source)
        try:
            principal = await authenticate()
        except Unauthenticated:
            self._good.pop(digest, None)
            self._count(source)
            raise
        _remember(self._good, digest, None, _MOST_TOKENS)
        return principal

    def _check(self, source: str) -> None:
        over = self._rested.get(source, 0.0) + self._each - self._clock() - _MINUTE
        # A hair, as times are sums.
        if over > 1e-6:
            seconds = math.ceil(over)
            error = RateLimited(f"Too many invalid tokens came from your address. Try again in {seconds} s.")
            error.retry_seconds = seconds
            raise error

    def _count(self, source: str) -> None:
        rested = max(self._rested.get(source, 0.0), self._clock()) + self._each
        _remember(self._rested, source, rested, _MOST_ADDRESSES)

    @property
    def _each(self) -> float:
        return _MINUTE / self._per_minute


def _remember(known: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > most:
        known.popitem(last=False)


def _network(address: str) -> str:
    """Who has an address of version 6 has all of its /64."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))
