"""The screen on which tests look at programs."""

from tests.support.terminal import Screen


def test_lines_that_are_drawn_again_stand_there_once() -> None:
    screen = Screen()
    screen.feed("one\r\ntwo\r\n\x1b[1A\x1b[2K\x1b[1A\x1b[2K\x1b[32mONE\x1b[0m\r\nTWO")
    assert screen.lines == ["ONE", "TWO", ""]


def test_a_sequence_may_come_in_two_parts() -> None:
    screen = Screen()
    for part in ("abc\x1b", "[2", "K\rx\b", "y"):
        screen.feed(part)
    assert screen.lines == ["y"]
