"""From two readings of the engine to a sample."""

from typing import Any

from agent.domain.container_usage import Reading, reading, sample

SHOWN: dict[str, Any] = {
    "read": "2026-01-01T00:00:10Z",
    "cpu_stats": {"cpu_usage": {"total_usage": 5_000_000_000}, "online_cpus": 2},
    "memory_stats": {"usage": 900, "limit": 1000, "stats": {"inactive_file": 300}},
    "networks": {"eth0": {"rx_bytes": 100, "tx_bytes": 10}, "eth1": {"rx_bytes": 1, "tx_bytes": 2}},
}
SECOND = 1_000_000_000


def made(time: int, cpu: int, received: int) -> Reading:
    return Reading(time * SECOND, cpu * SECOND, 2, 600, 1000, {"eth0": (received, received)})


def test_file_cache_is_no_used_memory() -> None:
    found = reading(SHOWN)
    assert found is not None
    assert (found.memory, found.memory_limit, found.cores) == (600, 1000, 2)
    assert found.traffic == {"eth0": (100, 10), "eth1": (1, 2)}


def test_a_container_that_does_not_run_has_no_reading() -> None:
    assert reading({"read": "0001-01-01T00:00:00Z", "memory_stats": {}}) is None
    assert reading({}) is None


def test_shares_of_one_core_in_percent_and_rates_per_second() -> None:
    found = sample("c1", made(10, 1, 100), made(20, 16, 300), shares=256)
    assert found is not None
    assert (found.cpu.usage, found.cpu.limit, found.cpu.num_cores) == (150.0, 256, 2)
    assert (found.memory.usage, found.time.seconds) == (600, 20)
    assert (found.network.external.rx_bytes, found.network.external.rx_bytes_per_second) == (300, 20)
    assert list(found.network.internal.interfaces) == []


def test_counters_that_begin_anew_make_no_negative_numbers() -> None:
    found = sample("c1", made(10, 9, 900), made(20, 1, 5), shares=0)
    assert found is not None
    assert (found.cpu.usage, found.cpu.limit, found.network.external.tx_bytes_per_second) == (0, 1024, 0)


def test_no_time_between_is_no_sample() -> None:
    assert sample("c1", made(10, 1, 1), made(10, 2, 2), shares=0) is None
