"""Asks the master which one-shot hooks may run; it remembers them for the life of an instance number."""

import asyncio
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from agent.domain.errors import MasterNeeded
from kontena.deploy.v1 import assignment_pb2 as pb

_ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Question:
    message: pb.HookStarted
    answer: asyncio.Future[frozenset[str]]


class HookJournal:
    """A question stays open until it is answered, over any number of streams, and names the same attempt each time: the
    master answers it as it did before, should that answer have been lost. Asking the same again waits for the same
    answer. Of a process that dies meanwhile the hooks count as run: twice would be worse than never."""

    def __init__(self, patience: float = _ANSWER_SECONDS) -> None:
        self._patience = patience
        self._sequence = 0
        self._open: dict[tuple[str, frozenset[str]], _Question] = {}
        self._unsent: list[pb.HookStarted] = []
        self._pending = asyncio.Event()

    async def started(self, instance_id: str, hook_ids: Sequence[str]) -> Collection[str]:
        """Which of these one-shot hooks were not recorded before, and are now. Raises MasterNeeded without an answer
        within some seconds."""
        key = (instance_id, frozenset(hook_ids))
        question = self._open.get(key)
        if question is None:
            question = self._open[key] = self._ask(instance_id, hook_ids)
        try:
            async with asyncio.timeout(self._patience):
                run = await asyncio.shield(question.answer)
        except TimeoutError:
            raise MasterNeeded("the master has not said yet whether one-shot hooks may run") from None
        self._open.pop(key, None)
        return run

    def _ask(self, instance_id: str, hook_ids: Sequence[str]) -> _Question:
        self._sequence += 1
        message = pb.HookStarted(
            sequence=self._sequence, instance_id=instance_id, hook_ids=hook_ids, attempt=secrets.token_hex(8)
        )
        self._unsent.append(message)
        self._pending.set()
        return _Question(message, asyncio.get_running_loop().create_future())

    def start_over(self) -> None:
        """A new stream: ask again whatever was not answered."""
        self._unsent = [question.message for question in self._open.values() if not question.answer.done()]
        if self._unsent:
            self._pending.set()

    async def next(self) -> pb.HookStarted:
        """The next question to send."""
        while not self._unsent:
            self._pending.clear()
            await self._pending.wait()
        return self._unsent.pop(0)

    def answer(self, ack: pb.HookStartedAck) -> None:
        """The master's answer; one to no open question changes nothing."""
        for question in self._open.values():
            if question.message.sequence == ack.sequence and not question.answer.done():
                question.answer.set_result(frozenset(ack.run))
