from pathlib import Path

from tests.support.ports import free_block, free_port


def test_no_port_is_given_twice() -> None:
    assert len({free_block(1, range(9_900, 9_930)) for _ in range(10)}) == 10


def test_outgoing_connections_take_none() -> None:
    first, _ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert free_port() < int(first)
    assert free_block(30) + 30 <= int(first)
