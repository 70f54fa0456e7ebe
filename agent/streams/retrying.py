"""Keeps one call to the master going: whatever happens, it is tried again."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import grpc

from agent.domain.backoff import next_attempt, reconnect_delay
from agent.domain.errors import AgentError
from agent.streams.calls import describe, reason_of
from agent.streams.membership import Joined, Membership
from services.kernel.logs import get_logger

log = get_logger(__name__)


async def keep_trying(
    name: str, membership: Membership, work: Callable[[Joined], Awaitable[None]], *, urgent: bool = False
) -> None:
    """Never returns: calls `work` with the newest session, again after each end, with growing pauses while it fails.
    `urgent`: operators should see that it did."""
    clock = asyncio.get_running_loop()
    attempt = 0
    while True:
        joined = await membership.joined()
        started = clock.time()
        try:
            await work(joined)
            attempt = 0
        except (grpc.aio.AioRpcError, AgentError, OSError, TimeoutError) as error:
            attempt = next_attempt(attempt, clock.time() - started, reason_of(error))
            delay = reconnect_delay(attempt, random.random())
            report = log.warning if urgent else log.info
            report(f"{name} cut off", reason=reason_of(error), cause=describe(error), retry_in=round(delay, 1))
            if isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.UNAUTHENTICATED:
                membership.distrust(joined)
            await asyncio.sleep(delay)
