import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.grid_svc.convert import resource_usage
from services.grid_svc.domain.node import (
    AddressBook,
    Facts,
    Node,
    NodeChanges,
    NodeInput,
    Peer,
    check_changes,
    check_new,
    label_value,
    lowest_free_number,
    not_connected,
    peer,
    peer_ips,
    region,
)
from services.grid_svc.domain.resource_usage import FilesystemUsage, ResourceUsage
from services.kernel.errors import ValidationFailed


def node(**fields: object) -> Node:
    given = {"id": "n", "grid_id": "g", "name": "one", "node_number": 1, "engine_id": "E"} | fields
    return Node(**given)  # type: ignore[arg-type]


def test_status_is_the_first_that_fits() -> None:
    for connected, updated, availability in itertools.product((True, False), (True, False), ("active", "drain")):
        fields = {"connected": connected, "updated": updated, "availability": availability}
        assert node(engine_id=None, **fields).status == "created"
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
    number = lowest_free_number(used, 254)
    if len(used) == 254:
        assert number is None
    else:
        assert number is not None
        assert number not in used
        assert set(range(1, number)) <= used


def test_full() -> None:
    assert lowest_free_number(range(1, 255), 254) is None
    assert lowest_free_number(range(1, 255), 255) == 255


_PEERS = st.builds(
    Peer,
    st.uuids().map(str),
    st.sampled_from(["eu", "us"]),
    st.sampled_from([None, "1.1.1.1", "1.1.1.2"]),
    st.sampled_from([None, "10.0.0.1", "10.0.0.2", "10.0.0.3"]),
)


@given(st.lists(_PEERS))
def test_an_address_book_knows_what_peer_ips_says(peers: list[Peer]) -> None:
    book = AddressBook(peers)
    for me in peers:
        assert sorted(book.others(me)) == sorted(peer_ips(me.id, [f"region={me.region}"], peers))


def test_an_address_book_may_be_older_than_a_node() -> None:
    book = AddressBook([Peer("other", "eu", "1.1.1.1", "10.0.0.1")])
    assert book.others(Peer("new", "eu", None, "10.0.0.2")) == ["10.0.0.1"]
    assert book.others(Peer("new", "us", None, None)) == ["1.1.1.1"]
    assert AddressBook([]).others(Peer("new", "eu", None, "10.0.0.2")) == []


@pytest.mark.parametrize(
    ("given_node", "errors"),
    [
        (NodeInput(), {"name": "Name can't be nil"}),
        (NodeInput(""), {"name": "Name can't be blank"}),
        (NodeInput("a b"), {"name": "Name isn't in the right format"}),
        (NodeInput("a", ""), {"token": "Token can't be blank"}),
        (NodeInput("a", "x" * 15), {"token": "is too short (minimum is 16 characters)"}),
        (NodeInput("a", "x" * 257), {"token": "is too long (maximum is 256 characters)"}),
        (NodeInput("a", None, [""]), {"labels": ["Labels[0] can't be blank"]}),
    ],
)
def test_bad_attributes_of_a_new_node(given_node: NodeInput, errors: dict[str, object]) -> None:
    with pytest.raises(ValidationFailed) as refused:
        check_new(given_node)
    assert refused.value.errors == errors


def test_why_a_node_is_not_connected() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    assert not_connected(node()) == "Websocket is not connected"
    ended = node(disconnected_at=at, close_code=4030, close_reason="ping timeout after 15s")
    assert not_connected(ended) == (
        "Websocket disconnected at 2026-01-02T00:00:00+00:00 with code 4030: ping timeout after 15s"
    )
    rejected = node(disconnected_at=at, rejected_at=at, close_code=4005, close_reason="why")
    assert not_connected(rejected) == "Websocket connection rejected at 2026-01-02T00:00:00+00:00 with code 4005: why"


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
    shown = resource_usage.usage_to_proto(node(connected=True, facts=Facts(engine_root_dir=root), stats=stats))
    assert shown is not None
    assert [item.name for item in shown.filesystem].count(root or "") == 1
    assert set(shown.load) == {"1m", "5m", "15m"}
    if stats is None:
        assert resource_usage.usage_to_proto(node(connected=False)) is None
