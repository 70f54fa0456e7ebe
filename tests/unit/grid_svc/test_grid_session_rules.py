from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.grid_svc.domain.node import Node
from services.grid_svc.domain.session import (
    GRID_FULL,
    Hello,
    JoinTokens,
    NewNode,
    check_hello,
    compatible,
    first_join,
    standing,
)
from services.grid_svc.usecases.refusals import SessionRefused


@pytest.mark.parametrize(
    ("agent", "server", "fits"),
    [
        ("1.5.0", "1.5.5", True),
        ("1.5.99", "1.5.5", True),
        ("1.5", "1.5.5", True),
        ("1.4.5", "1.5.5", False),
        ("1.6.0", "1.5.5", False),
        ("2.5.5", "1.5.5", False),
        ("1.5.0.pre3", "1.5.5", False),
        ("1.5.0.pre3", "1.5.5.pre1", True),
        ("1.5.0-rc1", "1.5.5", False),
        ("1.5.0", "1.5.5.pre1", True),
        ("", "1.5.5", False),
        ("one", "1.5.5", False),
        ("1.5.x", "1.5.5", False),
    ],
)
def test_versions(agent: str, server: str, fits: bool) -> None:
    assert compatible(agent, server) is fits


@given(st.text(), st.text())
def test_any_texts_are_compatible_or_not(agent: str, server: str) -> None:
    assert compatible(agent, server) in {True, False}


@pytest.mark.parametrize(
    ("hello", "tokens", "reason"),
    [
        (Hello("", "", "1.4.0"), JoinTokens(), "VERSION_MISMATCH"),
        (Hello("", "", "1.5.0"), JoinTokens(), "MISSING_NODE_ID"),
        (Hello("e", "", "1.5.0"), JoinTokens(), "MISSING_NODE_ID"),
        (Hello("e", "n", "1.5.0"), JoinTokens(), "MISSING_TOKEN"),
        (Hello("e", "n", "1.5.0"), JoinTokens(node="t"), "INVALID_NODE_TOKEN"),
        (Hello("e", "n", "1.5.0"), JoinTokens(grid="t"), None),
        (Hello("e", "n", "1.5.0"), JoinTokens("t", "t"), None),
    ],
)
def test_rules_before_anything_is_looked_up(hello: Hello, tokens: JoinTokens, reason: str | None) -> None:
    refusal = check_hello(hello, tokens, "1.5.5")
    assert (refusal.reason if refusal else None) == reason


def test_first_join() -> None:
    assert first_join("web", {1, 3}, {"web"}) == NewNode("web-2", 2)
    assert first_join("web", range(1, 255), set()) == GRID_FULL


def test_standing() -> None:
    node = Node("n", "g", "one", 1, session=4, connected=True, connected_at=datetime(2026, 1, 2, tzinfo=UTC))
    assert standing("one", 4, node) is None
    ends = [standing("one", 3, node), standing("one", 4, None), standing("one", 4, Node("n", "g", "one", 1, session=4))]
    assert [end and (end.reason, end.message) for end in ends] == [
        ("SESSION_SUPERSEDED", "host node one connection conflict with new connection at 2026-01-02T00:00:00+00:00"),
        ("NODE_REMOVED", "host node one has been removed"),
        ("SESSION_RESET", "host node one has been disconnected"),
    ]


def test_refusals_have_codes() -> None:
    assert (SessionRefused(GRID_FULL).code.name, SessionRefused(GRID_FULL).reason) == (
        "RESOURCE_EXHAUSTED",
        "GRID_FULL",
    )
