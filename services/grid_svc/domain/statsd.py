"""Samples as statsd gauges: `<grid>.<node>.<metric>`."""

import re

from services.grid_svc.domain.resource_usage import ResourceUsage

# Dots part names, the others have a meaning in the protocol.
_ODD = re.compile(r"[^A-Za-z0-9_-]+", re.ASCII)


def gauges(grid: str, node: str, usage: ResourceUsage) -> list[str]:
    """One line per number that was measured."""
    numbers: dict[str, float] = {f"cpu.load.{period}": value for period, value in usage.load.items()}
    if usage.cpu:
        numbers["cpu.usage"] = round(usage.cpu.used, 2)
    if usage.memory:
        memory = usage.memory
        for name in ("active", "buffers", "cached", "free", "inactive", "total", "used"):
            numbers[f"memory.{name}"] = getattr(memory, name)
    for item in usage.filesystem:
        for name in ("available", "free", "total", "used"):
            numbers[f"filesystem.{_word(item.name)}.{name}"] = getattr(item, name)
    for side in ("internal", "external"):
        traffic = getattr(usage.network, side) if usage.network else None
        if traffic:
            numbers[f"network.{side}.rx_bytes_per_second"] = traffic.rx_bytes_per_second
            numbers[f"network.{side}.tx_bytes_per_second"] = traffic.tx_bytes_per_second
    prefix = f"{_word(grid)}.{_word(node)}"
    return [f"{prefix}.{name}:{value:.10g}|g" for name, value in numbers.items()]


def _word(name: str) -> str:
    return _ODD.sub("_", name).strip("_") or "root"
