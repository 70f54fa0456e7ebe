"""Open streams of callers whose token or rights change."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kontena.deploy.v1 import container_log_pb2
from kontena.deploy.v1.container_log_pb2_grpc import ContainerLogServiceServicer
from services.kernel import reauthentication
from services.kernel.authn import Authenticator
from services.kernel.cluster_token import ClusterTokens
from services.kernel.errors import DomainError, RateLimited, Unauthenticated, Unavailable
from services.kernel.principal import Principal
from services.kernel.reauthentication import Reauthentication
from services.kernel.streams import Streams

SERVICE = container_log_pb2.DESCRIPTOR.services_by_name["ContainerLogService"].full_name
METHOD = f"/{SERVICE}/ListGridLogs"
EVE = Principal("user", user_id="eve", roles=frozenset({"user_admin"}), grid_ids=frozenset({"a", "b"}))


class World:
    """A stream that never ends by itself, and what introspection answers."""

    def __init__(self) -> None:
        self.known: Principal | DomainError = EVE
        self.answer: Callable[[], Principal | DomainError] = lambda: self.known
        self.tell: Callable[[str], None] = lambda _user_id: None
        self.streams = Streams()
        secret = ClusterTokens("a-secret-of-sixteen-characters")
        authenticator = Authenticator(secret, self._introspect, [ContainerLogServiceServicer()], self._listen)  # type: ignore[abstract]
        self.callers = Reauthentication(authenticator, self.streams, 3)
        self.began = asyncio.Event()

    def _listen(self, listener: Callable[[str], None]) -> None:
        self.tell = listener

    async def _introspect(self, _token: str) -> Principal:
        answer = self.answer()
        if isinstance(answer, DomainError):
            raise answer
        return answer

    async def _responses(self) -> AsyncIterator[int]:
        yield 1
        self.began.set()
        await asyncio.Event().wait()

    async def follow(self, principal: Principal = EVE) -> None:
        with self.callers.following(METHOD, {"authorization": "Bearer t"}, principal):
            async for _ in self.streams.guarded(self._responses()):
                pass


@pytest.mark.parametrize(
    ("now", "error"),
    [
        (Unauthenticated(), Unauthenticated),
        (Unauthenticated("Token expired"), Unauthenticated),
        (replace(EVE, grid_ids=frozenset({"a"})), Unavailable),
        (replace(EVE, roles=frozenset()), Unavailable),
        (replace(EVE, roles=frozenset({"user_admin", "viewer"})), Unavailable),
    ],
)
@pytest.mark.parametrize("user_id", ["eve", ""])
async def test_who_loses_a_right_loses_the_stream(
    now: Principal | DomainError, error: type[DomainError], user_id: str
) -> None:
    world = World()
    stream = asyncio.create_task(world.follow())
    await world.began.wait()
    world.known = now
    world.tell(user_id)
    with pytest.raises(error):
        await asyncio.wait_for(stream, 30)
    assert not stream.cancelled()


@pytest.mark.parametrize(
    ("now", "user_id"),
    [
        (EVE, "eve"),
        (replace(EVE, grid_ids=frozenset({"a", "b", "c"})), "eve"),
        (Unauthenticated(), "somebody else"),
        (Unavailable("auth_svc is away"), "eve"),
    ],
)
async def test_other_changes_leave_a_stream_alone(now: Principal | DomainError, user_id: str) -> None:
    world = World()
    stream = asyncio.create_task(world.follow())
    await world.began.wait()
    world.known = now
    world.tell(user_id)
    done, _ = await asyncio.wait([stream], timeout=0.2)
    assert not done
    stream.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stream


async def test_a_stream_ends_with_the_token_it_began_with() -> None:
    world = World()
    soon = datetime.now(UTC) + timedelta(seconds=0.2)
    stream = asyncio.create_task(world.follow(replace(EVE, expires_at=soon)))
    await world.began.wait()
    world.known = Unauthenticated("Token expired")
    with pytest.raises(Unauthenticated, match="Token expired"):
        await asyncio.wait_for(stream, 30)


async def test_the_end_of_a_token_is_decided_by_auth_svc_and_asked_for_until_it_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reauthentication, "_AGAIN_SECONDS", 0.05)
    world = World()
    asked = asyncio.Event()
    answers: Iterator[Principal | DomainError] = iter(
        [EVE, Unavailable("auth_svc is away"), Unauthenticated("Token expired")]
    )
    stream = asyncio.create_task(world.follow(replace(EVE, expires_at=datetime.now(UTC))))
    await world.began.wait()

    def next_answer() -> Principal | DomainError:
        asked.set()
        return next(answers)

    world.answer = next_answer
    await asyncio.wait_for(asked.wait(), 30)
    assert not stream.done()
    with pytest.raises(Unauthenticated, match="Token expired"):
        await asyncio.wait_for(stream, 30)


async def test_streams_of_services_are_not_looked_at() -> None:
    world = World()
    world.known = Unauthenticated()
    stream = asyncio.create_task(world.follow(Principal("service", service="vault_svc")))
    await world.began.wait()
    world.tell("")
    world.streams.end()
    with pytest.raises(Unavailable, match="about to stop"):
        await asyncio.wait_for(stream, 30)


async def test_one_user_has_a_number_of_streams_and_takes_none_from_others() -> None:
    world = World()
    held = [asyncio.create_task(world.follow()) for _ in range(3)]
    await world.began.wait()
    with pytest.raises(RateLimited, match="3 open streams"):
        await world.follow()
    other = asyncio.create_task(world.follow(replace(EVE, user_id="adam")))
    await asyncio.wait([other], timeout=0.05)
    assert not other.done()
    held.pop().cancel()
    await asyncio.sleep(0)
    again = asyncio.create_task(world.follow())
    await asyncio.wait([again], timeout=0.05)
    assert not again.done()
    for task in (*held, other, again):
        task.cancel()
