"""Log frames: parsing, joining, positions."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from agent.domain.log_frames import (
    LONGEST_LINE,
    Assembler,
    Cursor,
    Frame,
    Position,
    Repeats,
    parse_frame,
    parse_time,
    read_frames,
)

SECOND = 1_000_000_000


def test_a_frame_with_its_time() -> None:
    frame = parse_frame("stderr", b"2026-11-23T23:00:08.699659316Z out of  order\n")
    assert frame == Frame("stderr", 1795474808 * SECOND + 699659316, b"out of  order", complete=True)


def test_a_split_line_and_an_empty_one() -> None:
    assert parse_frame("stdout", b"2026-11-23T23:00:08Z half") == Frame(
        "stdout", 1795474808 * SECOND, b"half", complete=False
    )
    assert parse_frame("stdout", b"2026-11-23T23:00:08.1Z \n") == Frame(
        "stdout", 1795474808 * SECOND + SECOND // 10, b"", complete=True
    )


def test_lines_without_a_time_are_no_frames() -> None:
    for payload in (b"hello world\n", b"\n", b"", b"2026-11-23 23:00 x\n", b"2026-99-23T23:00:08Z x\n"):
        assert parse_frame("stdout", payload) is None


def test_times() -> None:
    assert parse_time("1970-01-01T00:00:01.5Z") == SECOND * 3 // 2
    assert parse_time("0001-01-01T00:00:00Z") is not None
    assert parse_time("1970-01-01T00:00:01") is None


def test_split_lines_are_joined_per_stream() -> None:
    assembler = Assembler()
    assert assembler.add(Frame("stdout", 1, b"a", complete=False)) is None
    assert assembler.add(Frame("stderr", 2, b"x", complete=True)) == Frame("stderr", 2, b"x", complete=True)
    assert assembler.pending
    assert assembler.add(Frame("stdout", 3, b"b", complete=True)) == Frame("stdout", 1, b"ab", complete=True)
    assert not assembler.pending


def test_a_line_without_end_comes_in_pieces() -> None:
    assembler = Assembler()
    half = b"x" * (LONGEST_LINE // 2)
    assert assembler.add(Frame("stdout", 1, half, complete=False)) is None
    piece = assembler.add(Frame("stdout", 1, half, complete=False))
    assert piece is not None
    assert len(piece.data) == LONGEST_LINE


def test_the_rest_of_an_ended_log() -> None:
    assembler = Assembler()
    assembler.add(Frame("stdout", 1, b"no end", complete=False))
    assert assembler.rest() == [Frame("stdout", 1, b"no end", complete=True)]


def read(log: list[int], position: Position) -> list[tuple[int, Position]]:
    """What a reader gets of a log (times of its frames) from `position` on: index of each fresh frame, position."""
    cursor = Cursor(position)
    kept = [(index, time) for index, time in enumerate(log) if time >= position.since_ns]
    return [(index, cursor.position()) for index, time in kept if cursor.read(time)]


gaps = st.integers(0, SECOND) | st.just(0) | st.integers(0, 5)
jitters = st.integers(0, 1000)


@given(st.lists(st.tuples(gaps, jitters), min_size=1, max_size=60), st.data())
def test_a_reader_goes_on_exactly_where_another_stopped(steps: list[tuple[int, int]], data: st.DataObject) -> None:
    now, log = 10 * SECOND, []
    for gap, jitter in steps:
        now += gap
        # Two streams write at once, so times may go back by a few microseconds.
        log.append(now - jitter)
    position = Position()
    seen: list[int] = []
    while len(seen) < len(log):
        fresh = read(log, position)
        stop = data.draw(st.integers(1, len(fresh)))
        seen += [index for index, _ in fresh[:stop]]
        position = fresh[stop - 1][1]
    assert seen == list(range(len(log)))
    assert read(log, position) == []


def test_rotated_away_frames_do_not_hide_new_ones() -> None:
    log = [10 * SECOND, 10 * SECOND + 1, 10 * SECOND + 2]
    position = read(log, Position())[-1][1]
    rotated = [20 * SECOND, 20 * SECOND + 1]
    assert [index for index, _ in read(rotated, position)] == [0, 1]


def line(number: int, stream: str = "stdout") -> Frame:
    return Frame(stream, number, b"line %d" % number, complete=True)


def new_ones(*frames: Frame) -> list[Frame]:
    repeats = Repeats()
    return [frame for frame in frames if not repeats.has(frame)]


@given(st.lists(st.integers(0, 30), unique=True, min_size=1), st.dictionaries(st.integers(0, 30), st.integers(0, 30)))
def test_what_the_engine_reads_twice_is_found(times: list[int], repeated: dict[int, int]) -> None:
    # Times may be out of order: there are two streams.
    told = [line(time, "stderr" if time % 3 else "stdout") for time in times]
    sent = []
    for index, frame in enumerate(told):
        sent.append(frame)
        if (begin := repeated.get(index, index + 1)) <= index:
            sent.extend(told[begin : index + 1])
    assert new_ones(*sent) == told


def test_pieces_of_a_long_line_are_no_repetition() -> None:
    piece = Frame("stdout", 5, b"x" * 10, complete=False)
    end = Frame("stdout", 5, b"x", complete=True)
    assert new_ones(piece, piece, end) == [piece, piece, end]
    assert new_ones(line(1), piece, piece, end, line(6), line(1), piece, piece, end, line(6), line(7)) == [
        line(1),
        piece,
        piece,
        end,
        line(6),
        line(7),
    ]


def test_lines_that_come_late_are_no_repetition() -> None:
    assert new_ones(line(2), line(1), line(3)) == [line(2), line(1), line(3)]


def sent(*frames: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack(">BxxxL", kind, len(payload)) + payload for kind, payload in frames)


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=8)), max_size=6), st.integers(1, 40))
def test_frames_are_found_however_the_log_arrives(told: list[tuple[int, bytes]], size: int) -> None:
    data = sent(*((kind, b"2026-11-23T23:00:08.5Z " + text) for kind, text in told), (1, b"without a time"))
    found: list[Frame] = []
    rest = b""
    for start in range(0, len(data), size):
        rest += data[start : start + size]
        frames, used = read_frames(rest)
        found += frames
        rest = rest[used:]
    assert rest == b""
    assert [(frame.stream, frame.data + b"\n" * frame.complete) for frame in found] == [
        ("stdout" if kind == 1 else "stderr", text) for kind, text in told
    ]
