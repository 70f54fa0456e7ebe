"""Processes that may use no more than a part of a core, as if they had a small machine of their own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
# Short, so that a process that waits for its next turn does so for a moment only.
_PERIOD_MICROSECONDS = 10_000


@contextmanager
def quota(pid: int, cores: float) -> Iterator[None]:
    """The process, with all of its threads, gets at most `cores` until the block ends. Needs root, and Linux with
    control groups of either version."""
    first = (_ROOT / "cpu").is_dir()
    parent = _ROOT / "cpu" if first else _ROOT
    group = parent / f"kontena-bench-{os.getpid()}-{pid}"
    group.mkdir()
    micros = round(cores * _PERIOD_MICROSECONDS)
    try:
        if first:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS))
            (group / "cpu.cfs_quota_us").write_text(str(micros))
        else:
            (parent / "cgroup.subtree_control").write_text("+cpu")
            (group / "cpu.max").write_text(f"{micros} {_PERIOD_MICROSECONDS}")
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        # A group with a process in it stays.
        if Path(f"/proc/{pid}").exists():
            (parent / "cgroup.procs").write_text(str(pid))
        group.rmdir()
