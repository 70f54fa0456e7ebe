"""One question to another service for all who ask it at once."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from services.kernel.errors import Unavailable
from services.kernel.together import Together

V = TypeVar("V")

Resolve = Callable[[str, Iterable[str]], Awaitable[Mapping[str, V]]]
_MOST = 50


@dataclass(slots=True)
class _Question(Generic[V]):
    grid_id: str
    names: Collection[str]
    answers: Mapping[str, V] = field(default_factory=dict)
    refused: str | None = None


class AskedTogether(Generic[V]):
    """Questions about a grid that come while one is under way are asked as one when that has its answer: nodes that get
    the same service want to know the same. Nothing is remembered: each question is asked after it came."""

    def __init__(self, resolve: Resolve[V]) -> None:
        self._resolve = resolve
        self._together: Together[_Question[V]] = Together(self._ask, _MOST)

    async def resolve(self, grid_id: str, names: Iterable[str]) -> Mapping[str, V]:
        """What is known, by name. Raises Unavailable."""
        question: _Question[V] = _Question(grid_id, frozenset(names))
        await self._together.do(grid_id, question)
        if question.refused is not None:
            raise Unavailable(question.refused)
        return question.answers

    async def _ask(self, questions: Sequence[_Question[V]]) -> None:
        names = {name for question in questions for name in question.names}
        try:
            answers = await self._resolve(questions[0].grid_id, names)
        except Unavailable as error:
            # For all of them: who asks again one by one only waits for longer.
            for question in questions:
                question.refused = error.message
            return
        for question in questions:
            question.answers = {name: answers[name] for name in question.names if name in answers}
