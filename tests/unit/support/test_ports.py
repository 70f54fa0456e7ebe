from pathlib import Path

import pytest

from tests.support.ports import free_block, free_port


def test_no_port_is_given_twice() -> None:
    assert len({free_block(1, range(9_900, 9_930)) for _ in range(10)}) == 10


def test_outgoing_connections_take_none() -> None:
    first, _ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert free_port() < int(first)
    assert free_block(30) + 30 <= int(first)


def test_blocks_of_several_sizes_share_no_port() -> None:
    middle = free_block(1, range(9_941, 9_942))
    with pytest.raises(AssertionError, match="no 3 free ports"):
        free_block(3, range(9_940, 9_943))
    # What was taken before it turned out so is free again.
    assert {free_block(1, range(9_940, 9_943)) for _ in range(2)} == {middle - 1, middle + 1}
