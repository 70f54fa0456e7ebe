import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.grid_svc.convert import resource_usage
from services.grid_svc.domain.node import (
    Facts,
    Node,
    NodeChanges,
    Peer,
    check_changes,
    label_value,
    lowest_free_number,
    peer,
    peer_ips,
    region,
)
from services.grid_svc.domain.resource_usage import FilesystemUsage, ResourceUsage
from services.kernel.errors import ValidationFailed


def node(**fields: object) -> Node:
    given = {"id": "n", "grid_id": "g", "name": "one", "node_number": 1, "node_id": "E"} | fields
    return Node(**given)  # type: ignore[arg-type]


def test_status_is_the_first_that_fits() -> None:
    for connected, updated, availability in itertools.product((True, False), (True, False), ("active", "drain")):
        fields = {"connected": connected, "updated": updated, "availability": availability}
        assert node(node_id=None, **fields).status == "created"
        expected = "offline"
        if connected:
            expected = "connecting"
            if updated:
                expected = "drain" if availability == "drain" else "online"
        assert node(**fields).status == expected


@pytest.mark.parametrize(
    ("labels", "value"),
    [
        ((), "default"),
        (("region",), "default"),
        (("region=",), ""),
        (("az=a", "region=eu", "region=us"), "eu"),
        (("region", "region=eu"), "default"),
        (("regions=eu",), "default"),
        (("region=a=b",), "a=b"),
    ],
)
def test_region(labels: tuple[str, ...], value: str) -> None:
    assert region(labels) == value


@given(st.text(alphabet=st.characters(exclude_characters="=")), st.text(), st.lists(st.text()))
def test_the_first_label_of_a_name_counts(name: str, value: str, more: list[str]) -> None:
    assert label_value([f"{name}={value}", *more], name) == value
    assert label_value([name, *more], name) is None


def test_peers_by_region_without_gaps_and_repeats() -> None:
    peers = [
        Peer("me", "eu", "1.0.0.1", "10.0.0.1"),
        Peer("a", "eu", "1.0.0.2", "10.0.0.2"),
        Peer("b", "us", "1.0.0.3", "10.0.0.2"),
        Peer("c", "eu", "1.0.0.4", None),
        Peer("d", "us", None, "10.0.0.5"),
        Peer("e", "eu", "1.0.0.9", "10.0.0.2"),
    ]
    assert peer_ips("me", ["region=eu"], peers) == ["10.0.0.2", "1.0.0.3"]
    assert peer_ips("other", [], peers) == ["1.0.0.1", "1.0.0.2", "1.0.0.3", "1.0.0.4", "1.0.0.9"]
    assert peer(node(labels=("region=x",), facts=Facts(public_ip="p"))) == Peer("n", "x", "p", None)


@given(st.sets(st.integers(1, 254)))
def test_the_lowest_free_number(used: set[int]) -> None:
    number = lowest_free_number(used)
    if len(used) == 254:
        assert number is None
    else:
        assert number is not None
        assert number not in used
        assert set(range(1, number)) <= used


def test_full() -> None:
    assert lowest_free_number(range(1, 255)) is None


def test_changes() -> None:
    assert check_changes(NodeChanges([" a=b "], "drain")) == NodeChanges(("a=b",), "drain")
    assert check_changes(NodeChanges([])) == NodeChanges(())
    for bad in ("evacuate", "Active"):
        with pytest.raises(ValidationFailed) as refused:
            check_changes(NodeChanges(availability=bad))
        assert refused.value.errors == {"availability": "Availability isn't an option"}


@pytest.mark.parametrize("root", [None, "/var/lib/docker"])
@pytest.mark.parametrize(
    "stats",
    [None, ResourceUsage(), ResourceUsage(filesystem=(FilesystemUsage("/", 1), FilesystemUsage("/var/lib/docker", 2)))],
)
def test_a_connected_node_has_a_filesystem_called_like_its_engine_directory(
    root: str | None, stats: ResourceUsage | None
) -> None:
    shown = resource_usage.of_node(node(connected=True, facts=Facts(engine_root_dir=root), stats=stats))
    assert shown is not None
    assert [item.name for item in shown.filesystem].count(root or "") == 1
    assert set(shown.load) == {"1m", "5m", "15m"}
    if stats is None:
        assert resource_usage.of_node(node(connected=False)) is None
