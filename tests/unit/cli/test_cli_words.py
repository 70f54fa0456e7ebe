"""Durations, sizes, ages."""

from datetime import UTC, datetime

import pytest

from kontena_ctl import words


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172800), ("0.5", 0.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert words.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "10x", "5m10h", "ten"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        words.duration(text)


def test_sizes() -> None:
    assert [words.size(number) for number in (0, 512, 2048, 1.5 * 1024**3, 24 * 1024**3)] == [
        "0",
        "512",
        "2K",
        "1.5G",
        "24G",
    ]


def test_ages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "now", lambda: datetime(2026, 11, 28, 12, 0, tzinfo=UTC))
    told = [words.age(f"2026-11-{time}Z") for time in ("28T11:59:58", "28T11:30:00", "28T02:00:00", "01T12:00:00")]
    assert told == ["2s", "30m", "10h", "27d"]
    assert words.age(None) == ""
