"""How nodes reach each other, and what each is told."""

from dataclasses import replace

import pytest

from services.grid_svc.domain.network import (
    Blocks,
    Ground,
    Member,
    Network,
    NodeNetwork,
    PeerUpdate,
    Vantage,
    check,
    grid_full,
    last_node_number,
    seen_from,
    vantage_of,
)
from services.grid_svc.domain.peer_views import PeerViews

GROUND = Ground("auto", ("192.168.0.0/16", "172.16.1.0/24"))


def member(number: int, *, private: str = "", region: str = "eu", key: str = "key") -> Member:
    return Member(
        id=f"id-{number}",
        name=f"node-{number}",
        node_number=number,
        region=region,
        public_ip=f"198.51.100.{number}",
        private_ip=private or f"10.0.0.{number}",
        network=NodeNetwork(f"{key}-{number}" if key else None, 51820 if key else 0, 4789),
        block=f"10.81.{number}.0/24",
        overlay_ip=f"10.81.0.{number}",
    )


def way(one: Member, other: Member, ground: Ground = GROUND) -> tuple[str, str, int, bool] | None:
    peer = seen_from(vantage_of(one, ground), other, ground)
    return None if peer is None else (peer.mode, peer.endpoint, peer.port, peer.distant)


@pytest.mark.parametrize(
    ("subnet", "prefix", "capacity", "first", "last"),
    [
        ("10.81.0.0/16", None, 255, "10.81.1.0/24", "10.81.255.0/24"),
        ("10.81.0.0/16", 26, 1008, "10.81.4.0/26", "10.81.255.192/26"),
        ("10.80.0.0/12", None, 4080, "10.80.16.0/24", "10.95.255.0/24"),
        ("192.168.7.0/24", None, 15, "192.168.7.16/28", "192.168.7.240/28"),
    ],
)
def test_blocks(subnet: str, prefix: int | None, capacity: int, first: str, last: str) -> None:
    blocks = Blocks(subnet, prefix)
    assert (blocks.capacity, blocks.of(1), blocks.of(capacity)) == (capacity, first, last)
    assert last_node_number(subnet, Network(node_prefix=prefix)) == capacity


@pytest.mark.parametrize("subnet", ["10.81.0.1", "10.81.0.0/29", "fd00::/64"])
def test_a_subnet_without_room_for_blocks_takes_nodes_as_before(subnet: str) -> None:
    assert Blocks(subnet, None).capacity == 0
    assert last_node_number(subnet, Network()) >= 254


def test_a_full_grid_says_what_to_do() -> None:
    text = grid_full("10.81.0.0/16", Network())
    assert "10.81.0.0/16 has room for 255 nodes with a block of /24 each" in text
    assert "Remove a node first" in text


@pytest.mark.parametrize(("prefix", "good"), [(None, True), (24, True), (29, True), (16, False), (30, False)])
def test_blocks_are_smaller_than_the_subnet(prefix: int | None, good: bool) -> None:
    assert (check("10.81.0.0/16", Network(node_prefix=prefix)) is None) == good


def test_nodes_of_a_region_use_private_addresses_and_others_public_ones() -> None:
    assert way(member(1), member(2)) == ("wireguard", "10.0.0.2", 51820, False)
    assert way(member(1), member(2, region="us")) == ("wireguard", "198.51.100.2", 51820, True)
    assert way(member(1), replace(member(2, region="us"), public_ip=None)) is None


def test_two_addresses_in_one_trusted_subnet_need_no_encryption() -> None:
    one, two = member(1, private="192.168.1.1"), member(2, private="192.168.9.9")
    assert way(one, two) == ("vxlan", "192.168.9.9", 4789, False)
    assert way(member(1, private="192.168.1.1"), member(2, private="172.16.1.2")) == (
        "wireguard",
        "172.16.1.2",
        51820,
        False,
    )
    assert way(one, member(2)) == ("wireguard", "10.0.0.2", 51820, False)


def test_the_mode_of_the_grid_decides_for_all() -> None:
    one, two = member(1, private="192.168.1.1"), member(2, private="192.168.9.9")
    assert way(one, two, replace(GROUND, mode="wireguard")) == ("wireguard", "192.168.9.9", 51820, False)
    assert way(member(1), member(2), replace(GROUND, mode="vxlan")) == ("vxlan", "10.0.0.2", 4789, False)
    assert way(one, two, replace(GROUND, mode="none")) is None


def test_a_node_that_cannot_encrypt_reaches_trusted_nodes_only() -> None:
    bare = member(1, private="192.168.1.1", key="")
    assert way(bare, member(2, private="192.168.9.9")) == ("vxlan", "192.168.9.9", 4789, False)
    assert way(bare, member(2)) is None
    assert way(member(2), bare) is None


def told(views: PeerViews, vantage: Vantage | None, after: int | None) -> list[PeerUpdate]:
    assert vantage is not None
    return list(views.steps(vantage).after(after))


def test_nodes_of_one_vantage_share_what_they_are_told() -> None:
    members = {item.id: item for item in (member(1), member(2), member(3, region="us"))}
    views = PeerViews(GROUND, members)
    here, there = views.vantage("id-1"), views.vantage("id-3")
    assert here == views.vantage("id-2") != there
    assert told(views, here, None)[0] is told(views, here, None)[0]
    assert {peer.id for peer in told(views, there, None)[0].upserted} == {"id-1", "id-2", "id-3"}
    moved = replace(member(2), private_ip="10.0.0.99")
    assert views.change(GROUND, {"id-2": moved}, {"id-2"}) == {here}
    assert [[peer.endpoint for peer in step.upserted] for step in told(views, here, 0)] == [["10.0.0.99"]]
    assert told(views, there, 0) == []
    assert views.change(GROUND, {}, {"id-1"}) == {here, there}
    assert [tuple(step.removed) for step in (*told(views, here, 1), *told(views, there, 0))] == [("id-1",)] * 2
    assert views.vantage("id-1") is None


def test_a_change_of_the_grid_is_told_to_all() -> None:
    views = PeerViews(GROUND, {item.id: item for item in (member(1), member(2))})
    here = views.vantage("id-1")
    told(views, here, None)
    assert views.change(replace(GROUND, mode="vxlan"), {}, set()) == {here}
    assert {peer.mode for step in told(views, here, 0) for peer in step.upserted} == {"vxlan"}
