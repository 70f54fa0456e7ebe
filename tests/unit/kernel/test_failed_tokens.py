"""Whoever guesses tokens is told to wait; whoever has one is not."""

from collections.abc import Awaitable, Callable

import pytest

from services.kernel.errors import RateLimited, Unauthenticated
from services.kernel.failed_tokens import FailedTokens
from services.kernel.principal import Principal

ALICE = Principal(kind="user", user_id="alice")


class Now:
    def __init__(self) -> None:
        self.time = 1000.0
        self.asked = 0

    def __call__(self) -> float:
        return self.time

    def answer(self, token: str) -> Callable[[], Awaitable[Principal]]:
        async def authenticate() -> Principal:
            self.asked += 1
            if not token.startswith("good"):
                raise Unauthenticated
            return ALICE

        return authenticate


async def outcome(tokens: FailedTokens, now: Now, address: str, token: str) -> int:
    try:
        await tokens.counted(address, token, now.answer(token))
    except RateLimited as error:
        return error.retry_seconds or 0
    except Unauthenticated:
        return -1
    return 0


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def tokens(now: Now) -> FailedTokens:
    return FailedTokens(6, ["127.0.0.1"], now)


async def test_so_many_at_once_and_so_many_per_minute(tokens: FailedTokens, now: Now) -> None:
    assert [await outcome(tokens, now, "192.0.2.1", f"bad{n}") for n in range(8)] == [-1] * 6 + [10, 10]
    assert now.asked == 6, "what is refused asks nobody"
    now.time += 9
    assert await outcome(tokens, now, "192.0.2.1", "bad") == 1
    now.time += 1
    assert [await outcome(tokens, now, "192.0.2.1", "bad") for _ in range(2)] == [-1, 10]
    now.time += 3600
    assert [await outcome(tokens, now, "192.0.2.1", "bad") for _ in range(7)] == [-1] * 6 + [10]


async def test_others_and_good_tokens_are_not_held_up(tokens: FailedTokens, now: Now) -> None:
    assert await outcome(tokens, now, "192.0.2.1", "good") == 0
    for n in range(7):
        await outcome(tokens, now, "192.0.2.1", f"bad{n}")
    assert await outcome(tokens, now, "192.0.2.1", "good") == 0
    assert await outcome(tokens, now, "192.0.2.1", "good but new") == 10
    assert await outcome(tokens, now, "192.0.2.2", "bad") == -1
    assert await outcome(tokens, now, "192.0.2.1", "") == -1, "none is no guess"


async def test_a_network_of_version_6_counts_as_one(tokens: FailedTokens, now: Now) -> None:
    found = [await outcome(tokens, now, f"2001:db8::{n:x}", "bad") for n in range(7)]
    assert found == [-1] * 6 + [10]
    assert await outcome(tokens, now, "2001:db8:0:1::1", "bad") == -1


async def test_exempt_addresses_and_no_limit(tokens: FailedTokens, now: Now) -> None:
    assert {await outcome(tokens, now, "127.0.0.1", "bad") for _ in range(20)} == {-1}
    assert {await outcome(FailedTokens(0), now, "192.0.2.1", "bad") for _ in range(200)} == {-1}


async def test_memory_is_bounded(tokens: FailedTokens, now: Now, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.kernel.failed_tokens._MOST_ADDRESSES", 3)
    for n in range(10):
        await outcome(tokens, now, f"192.0.2.{n}", "bad")
    assert len(tokens._rested) == 3
