from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.grid_svc.clients.statsd import packets
from services.grid_svc.domain.metrics import Window, window
from services.grid_svc.domain.resource_usage import (
    CpuUsage,
    FilesystemUsage,
    InterfaceUsage,
    MemoryUsage,
    NetworkUsage,
    ResourceUsage,
)
from services.grid_svc.domain.statsd import gauges
from services.kernel.errors import InvalidRequest

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("", "", Window(NOW - HOUR, NOW)),
        ("", "2026-01-02T03:00:00Z", Window(NOW - 10 * HOUR, NOW - 9 * HOUR)),
        ("2026-01-02 11:30", "", Window(NOW - HOUR / 2, NOW)),
        ("2026-01-02T13:00:00+02:00", "", Window(NOW - HOUR, NOW)),
        # The plus as it arrives in a query.
        ("2026-01-02T13:00:00 02:00", "", Window(NOW - HOUR, NOW)),
        ("Fri, 02 Jan 2026 11:00:00 GMT", "", Window(NOW - HOUR, NOW)),
        ("2026-01-02", "", Window(NOW - 12 * HOUR, NOW)),
    ],
)
def test_spans(start: str, end: str, expected: Window) -> None:
    assert window(start, end, NOW) == expected


@given(st.text(min_size=1), st.text())
def test_any_text_is_a_time_or_refused(start: str, end: str) -> None:
    try:
        found = window(start, end, NOW)
    except InvalidRequest:
        return
    assert found.start.tzinfo == found.end.tzinfo == UTC


@pytest.mark.parametrize(("start", "end"), [("yesterday?", ""), ("", "x"), ("", "0001-01-01T00:00:00Z"), ("9999", "")])
def test_bad_spans(start: str, end: str) -> None:
    with pytest.raises(InvalidRequest):
        window(start, end, NOW)


def test_gauges() -> None:
    usage = ResourceUsage(
        MemoryUsage(used=5e9, total=8e9),
        {"1m": 0.25},
        (FilesystemUsage("/var/lib/docker", used=1, total=2), FilesystemUsage("/")),
        CpuUsage(4, system=1.5, user=10.25),
        NetworkUsage(external=InterfaceUsage(("eth0",), 10, 1, 20, 2.5)),
    )
    lines = gauges("my grid", "web.1", usage)
    assert {"my_grid.web_1.cpu.load.1m:0.25|g", "my_grid.web_1.cpu.usage:11.75|g"} <= set(lines)
    assert {"my_grid.web_1.memory.used:5000000000|g", "my_grid.web_1.filesystem.root.total:0|g"} <= set(lines)
    assert "my_grid.web_1.filesystem.var_lib_docker.total:2|g" in lines
    assert "my_grid.web_1.network.external.tx_bytes_per_second:2.5|g" in lines
    assert gauges("g", "n", ResourceUsage()) == []


@given(st.lists(st.text(alphabet="ab", max_size=300)))
def test_packets_hold_all_lines_and_fit(lines: list[str]) -> None:
    found = list(packets(filter(None, lines)))
    assert b"\n".join(found) == "\n".join(filter(None, lines)).encode()
    assert all(len(packet) <= 1400 for packet in found)
