from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.backup.schedule import due, made, superfluous

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def test_the_first_backup_is_made_at_once() -> None:
    assert due(None, DAY, NOW) == timedelta(0)


def test_the_next_one_is_due_an_interval_after_the_last() -> None:
    assert due(NOW - timedelta(hours=20), DAY, NOW) == timedelta(hours=4)
    assert due(NOW - 3 * DAY, DAY, NOW) == timedelta(0)


def test_a_clock_that_was_set_back_costs_one_interval_at_most() -> None:
    assert due(NOW + 300 * DAY, DAY, NOW) == DAY


def test_the_newest_are_kept_and_other_files_are_left_alone(tmp_path: Path) -> None:
    names = [f"kontena-202603{day:02}T120000Z.backup" for day in (3, 1, 4, 2)]
    for name in (*names, "kontena-by-hand.backup", "kontena-20260301T120000Z.backup.partial", "notes"):
        (tmp_path / name).touch()
    found = made(tmp_path)
    assert [file.name for _moment, file in found] == sorted(names)
    assert [file.name for file in superfluous(found, 2)] == sorted(names)[:2]
    assert superfluous(found, 4) == superfluous([], 1) == []
