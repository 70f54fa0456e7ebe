"""When a request is sent again: a decision without I/O, for both clients."""

from collections.abc import Mapping

_SAFE = frozenset({"GET", "HEAD"})
_AGAIN = frozenset({429, 502, 503, 504})
_LONGEST_PAUSE = 5.0


def repeatable(method: str, headers: Mapping[str, str]) -> bool:
    """Whether sending it twice does it once: what only reads, and what carries a key of its own."""
    return method in _SAFE or "Idempotency-Key" in headers


def pause(left: int, *, again: bool, status: int | None, retry_after: float | None) -> float | None:
    """Seconds to wait after a failed attempt when `left` more are allowed, or None to give up. `status` is None without
    an answer; `again` says that it may be sent once more."""
    if not again or left <= 0 or (status is not None and status not in _AGAIN):
        return None
    wait = _LONGEST_PAUSE / 5 / 2**left if retry_after is None else retry_after
    return wait if wait <= _LONGEST_PAUSE else None
