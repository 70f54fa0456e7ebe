"""Questions of many, asked as one."""

import asyncio
from collections.abc import Iterable, Mapping

from services.deploy_svc.usecases.asked_together import AskedTogether
from services.kernel.errors import Unavailable
from tests.support.eventually import eventually


class Vault:
    """Answers in capitals once it is let; knows nothing of `nobody`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []
        self.go_on = asyncio.Event()
        self.away = False

    async def resolve(self, grid_id: str, names: Iterable[str]) -> Mapping[str, str]:
        self.asked.append((grid_id, sorted(names)))
        await self.go_on.wait()
        if self.away:
            raise Unavailable("vault_svc does not answer")
        return {name: name.upper() for name in names if name != "nobody"}


async def questions(vault: Vault) -> list[asyncio.Task[Mapping[str, str]]]:
    """One that is under way, and three that come meanwhile, of which one is of another grid."""
    together = AskedTogether(vault.resolve)

    def ask(grid_id: str, *names: str) -> asyncio.Task[Mapping[str, str]]:
        return asyncio.create_task(together.resolve(grid_id, names))

    tasks = [ask("g", "a")]
    await eventually(lambda: _asked(vault, 1))
    tasks += [ask("g", "a", "b"), ask("g", "b", "nobody"), ask("other", "c")]
    await eventually(lambda: _asked(vault, 2))
    vault.go_on.set()
    return tasks


async def _asked(vault: Vault, count: int) -> bool:
    return len(vault.asked) == count


async def test_each_gets_what_it_asked_for_from_a_question_that_came_after_it() -> None:
    vault = Vault()
    answers = await asyncio.gather(*await questions(vault))
    assert answers == [{"a": "A"}, {"a": "A", "b": "B"}, {"b": "B"}, {"c": "C"}]
    assert vault.asked == [("g", ["a"]), ("other", ["c"]), ("g", ["a", "b", "nobody"])]


async def test_all_who_asked_together_are_told_at_once_that_there_is_no_answer() -> None:
    vault = Vault()
    vault.away = True
    found = await asyncio.gather(*await questions(vault), return_exceptions=True)
    assert [type(each) for each in found] == [Unavailable] * 4
    assert len(vault.asked) == 3
