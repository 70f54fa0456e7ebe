"""Lines that a node sends again are stored once; new lines are never lost."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.deploy_svc.domain.log_line import LogKey, LogLine, LogPosition, LogResume, next_positions

START = datetime(2026, 1, 1, tzinfo=UTC)
KEY = ("c1", "stdout")


def line(data: str, at: int, container: str = "c1") -> LogLine:
    return LogLine(container, "web-1", None, None, START + timedelta(seconds=at), "stdout", data)


class Database:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.positions: dict[LogKey, LogPosition] = {}

    def push(self, resume: LogResume, lines: list[LogLine]) -> None:
        fresh = resume.fresh(lines, self.positions)
        self.lines += [item.data for item in fresh]
        new = next_positions(fresh, self.positions)
        self.positions |= new
        resume.written(new)


def test_older_lines_and_the_first_ones_of_the_stored_time_are_known() -> None:
    stored = {KEY: LogPosition(START + timedelta(seconds=5), 2)}
    lines = [line("old", 4), line("a", 5), line("b", 5), line("c", 5), line("d", 6)]
    assert [item.data for item in LogResume().fresh(lines, stored)] == ["c", "d"]


def test_positions_count_lines_of_one_moment_across_batches() -> None:
    first = next_positions([line("a", 1), line("b", 2), line("c", 2)], {})
    assert first == {KEY: LogPosition(START + timedelta(seconds=2), 2)}
    assert next_positions([line("d", 2)], first)[KEY].lines == 3


def test_a_stream_that_goes_on_loses_nothing_when_the_clock_steps_back() -> None:
    database, resume = Database(), LogResume()
    database.push(resume, [line("a", 10)])
    database.push(resume, [line("b", 3), line("c", 10)])
    assert database.lines == ["a", "b", "c"]


def test_a_position_that_another_stream_wrote_starts_the_search_again() -> None:
    database, zombie, current = Database(), LogResume(), LogResume()
    database.push(zombie, [line("a", 1)])
    database.push(current, [line("a", 1), line("b", 2)])
    database.push(zombie, [line("b", 2)])
    assert database.lines == ["a", "b"]


@given(
    gaps=st.lists(st.integers(0, 2), max_size=30),
    cuts=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 7)), max_size=6),
)
def test_any_resend_stores_each_line_once_and_in_order(gaps: list[int], cuts: list[tuple[int, int]]) -> None:
    times = [sum(gaps[: index + 1]) for index in range(len(gaps))]
    lines = [line(str(index), at) for index, at in enumerate(times)]
    database = Database()
    for end, size in [*cuts, (len(lines), 3)]:
        resume = LogResume()
        sent = lines[:end]
        for start in range(0, len(sent), size):
            database.push(resume, sent[start : start + size])
    assert database.lines == [str(index) for index in range(len(lines))]


@given(
    batches=st.lists(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), max_size=8), max_size=4),
    stored=st.integers(0, 2),
)
def test_positions_are_those_of_counting_line_by_line(batches: list[list[tuple[str, int]]], stored: int) -> None:
    before = {("a", "stdout"): LogPosition(START + timedelta(seconds=stored), 2)}
    positions, expected = dict(before), dict(before)
    for batch in batches:
        lines = [line("", at, container) for container, at in batch]
        for one in lines:
            last = expected.get((one.container_id, one.type))
            again = last is not None and last.time == one.time
            expected[one.container_id, one.type] = LogPosition(one.time, last.lines + 1 if last and again else 1)
        positions |= next_positions(lines, positions)
    assert positions == expected
