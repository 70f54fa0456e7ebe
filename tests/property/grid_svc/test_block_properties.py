"""Blocks of nodes: whatever the subnet, the prefix, and the order in which nodes come and go."""

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from services.grid_svc.domain.grid import overlay_ip
from services.grid_svc.domain.network import LONGEST_NODE_PREFIX, Blocks, Network, last_node_number
from services.grid_svc.domain.node import lowest_free_number

SUBNETS = st.integers(8, 26).flatmap(
    lambda prefix: st.integers(0, 2**prefix - 1).map(
        lambda number: f"{ipaddress.IPv4Address(number << 32 - prefix)}/{prefix}"
    )
)


@given(SUBNETS, st.integers(1, 12), st.lists(st.integers(1, 400), max_size=60))
def test_no_two_numbers_share_an_address(subnet: str, longer: int, numbers: list[int]) -> None:
    prefix = min(int(subnet.partition("/")[2]) + longer, LONGEST_NODE_PREFIX)
    blocks = Blocks(subnet, prefix)
    whole = ipaddress.IPv4Network(subnet)
    found: dict[int, ipaddress.IPv4Network] = {}
    for number in {*numbers, blocks.capacity} & set(range(1, blocks.capacity + 1)):
        block = blocks.of(number)
        assert block is not None
        network = ipaddress.IPv4Network(block)
        own = ipaddress.ip_address(overlay_ip(subnet, number))
        assert network.subnet_of(whole)
        assert own in whole
        assert all(not network.overlaps(other) for other in found.values())
        found[number] = network
    for number in found:
        own = ipaddress.ip_address(overlay_ip(subnet, number))
        assert all(own not in network for network in found.values()), "nodes have addresses outside of all blocks"
    assert blocks.of(0) is None
    assert blocks.of(blocks.capacity + 1) is None


@given(st.lists(st.one_of(st.just("join"), st.integers(0, 20)), max_size=80))
def test_a_block_is_given_again_only_after_its_node_is_gone(steps: list[str | int]) -> None:
    network = Network(node_prefix=28)
    blocks = Blocks("10.81.0.0/24", network.node_prefix)
    last = last_node_number("10.81.0.0/24", network)
    held: dict[int, str] = {}
    for step in steps:
        if step == "join":
            number = lowest_free_number(held, last)
            if number is None:
                assert len(held) == blocks.capacity
                continue
            block = blocks.of(number)
            assert block is not None
            assert block not in held.values()
            held[number] = block
        elif held:
            del held[sorted(held)[int(step) % len(held)]]
        assert all(blocks.of(number) == block for number, block in held.items()), "a block stays for the node's life"
