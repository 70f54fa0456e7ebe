"""Looks at the callers of open streams again when their tokens end or their rights change.

A stream is authorized when it begins, and may last for days. Whoever loses a token, a role or a grid loses the stream;
those who still may have it just connect again.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.kernel.authn import Authenticator
from services.kernel.errors import DomainError, RateLimited, Unauthenticated, Unavailable
from services.kernel.logs import get_logger
from services.kernel.principal import Principal
from services.kernel.streams import Streams

log = get_logger(__name__)

# Past the moment until which answers of auth_svc are kept.
_MARGIN_SECONDS = 0.1
_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Open:
    method: str
    metadata: Mapping[str, str]
    principal: Principal


class Reauthentication:
    """Follows the changes that the authenticator is told about."""

    def __init__(self, authenticator: Authenticator, streams: Streams, most_per_user: int) -> None:
        self._most_per_user = most_per_user
        self._authenticator = authenticator
        self._streams = streams
        self._open: dict[asyncio.Task[Any], _Open] = {}
        self._expiries: dict[asyncio.Task[Any], asyncio.TimerHandle] = {}
        self._checks: set[asyncio.Task[None]] = set()
        authenticator.on_change(self._changed)

    @contextmanager
    def following(self, method: str, metadata: Mapping[str, str], principal: Principal | None) -> Iterator[None]:
        """The stream of this task, while the block runs. Streams of services and nodes end by other rules. Raises
        RateLimited when the user has too many."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 -- for the type checker.
        if principal is not None and principal.kind == "user":
            self._check_number(principal.user_id)
            self._open[task] = _Open(method, metadata, principal)
            self._check_at(task, principal.expires_at)
        try:
            yield
        finally:
            self._open.pop(task, None)
            if (expiry := self._expiries.pop(task, None)) is not None:
                expiry.cancel()
            self._streams.forget(task)

    def _check_number(self, user_id: str) -> None:
        held = sum(stream.principal.user_id == user_id for stream in self._open.values())
        if held >= self._most_per_user:
            raise RateLimited(
                f"You have {held} open streams here (logs, events, exec), which is the limit. End some first."
            )

    def _changed(self, user_id: str) -> None:
        for task, stream in self._open.items():
            if user_id in ("", stream.principal.user_id):
                self._start_check(task)

    def _check_at(self, task: asyncio.Task[Any], expires_at: datetime | None) -> None:
        # auth_svc decides, by its own clock: where that is behind, or does not answer, it is asked again.
        if expires_at is not None and task in self._open:
            wait = max(_AGAIN_SECONDS, (expires_at - datetime.now(UTC)).total_seconds() + _MARGIN_SECONDS)
            self._expiries[task] = asyncio.get_running_loop().call_later(wait, self._expired, task, expires_at)

    def _expired(self, task: asyncio.Task[Any], expires_at: datetime) -> None:
        self._start_check(task)
        self._check_at(task, expires_at)

    def _start_check(self, task: asyncio.Task[Any]) -> None:
        check = asyncio.create_task(self._check(task, self._open[task]))
        self._checks.add(check)
        check.add_done_callback(self._checks.discard)

    async def _check(self, task: asyncio.Task[Any], stream: _Open) -> None:
        try:
            now = await self._authenticator.authenticate(stream.method, stream.metadata)
        except Unauthenticated as error:
            self._end(task, error)
        except Exception as error:
            # auth_svc does not answer. When it is back, all changes are told again.
            log.warning("the caller of a stream could not be looked at", method=stream.method, error=repr(error)[:300])
        else:
            if now is None or _lost(stream.principal, now):
                self._end(task, Unavailable("Your rights changed. Connect again.", reason="RIGHTS_CHANGED"))

    def _end(self, task: asyncio.Task[Any], reason: DomainError) -> None:
        if task in self._open:
            self._streams.end_one(task, reason)


def _lost(before: Principal, now: Principal) -> bool:
    """Whether a right may be gone: a grid, or any change of roles, as `viewer` takes rights away."""
    return now.roles != before.roles or not now.grid_ids >= before.grid_ids
