"""What is kept counts for the version it was made of, and for no other."""

from collections.abc import Iterable

from services.kernel.kept import Kept, Version


class Records:
    """Stands for a table: records by id with their versions."""

    def __init__(self, **records: int) -> None:
        self.rows = dict(records)
        self.asked: list[list[str]] = []

    async def load(self, ids: list[str]) -> Iterable[tuple[str, Version, int]]:
        self.asked.append(ids)
        return [(name, version(self.rows[name]), self.rows[name]) for name in ids if name in self.rows]


def version(number: int) -> Version:
    return number, (0, number)


async def test_a_record_is_made_once_per_version() -> None:
    kept, records = Kept[int, str](str), Records(a=1, b=1)
    current = {"a": version(1), "b": version(1)}
    for _ in range(2):
        assert await kept.of(current, records.load) == {"a": "1", "b": "1"}
    records.rows["a"] = 2
    assert await kept.of(current | {"a": version(2)}, records.load) == {"a": "2", "b": "1"}
    assert records.asked == [["a", "b"], ["a"]]


async def test_a_newer_version_counts_and_a_record_that_is_gone_does_not() -> None:
    kept, records = Kept[int, str](str), Records(a=3)
    assert await kept.of({"a": version(2), "gone": version(1)}, records.load) == {"a": "3"}


async def test_the_oldest_go_when_there_are_too_many() -> None:
    kept, records = Kept[int, str](str, most=2), Records(a=1, b=1, c=1)
    for name in ("a", "b", "c", "b"):
        await kept.of({name: version(1)}, records.load)
    assert records.asked == [["a"], ["b"], ["c"]]
    await kept.of({"a": version(1)}, records.load)
    assert records.asked[-1] == ["a"]
