from datetime import UTC, datetime

import pytest

from services.grid_svc.domain.grid import Grid
from services.grid_svc.domain.join_token import StoredToken
from services.grid_svc.domain.node import Node
from services.grid_svc.domain.refusals import SessionRefused
from services.grid_svc.domain.session import (
    Close,
    Hello,
    JoinTokens,
    NewNode,
    Refusal,
    check_hello,
    check_known,
    check_own_token,
    first_join,
    standing,
)
from services.kernel.session_refusals import SessionReason


@pytest.mark.parametrize(
    ("hello", "tokens", "reason"),
    [
        (Hello("", "", "1.4.9"), JoinTokens(), "VERSION_MISMATCH"),
        (Hello("", "", "1.5.0"), JoinTokens(), "MISSING_NODE_ID"),
        (Hello("e", "", "1.5.0"), JoinTokens(), "MISSING_NODE_ID"),
        (Hello("e", "n", "1.5.0"), JoinTokens(), "MISSING_TOKEN"),
        (Hello("e", "n", "1.5.0"), JoinTokens(node="t"), None),
        (Hello("e", "n", "1.5.0"), JoinTokens(grid="t"), None),
        (Hello("e", "n", "1.5.0"), JoinTokens("t", "t"), None),
    ],
)
def test_rules_before_anything_is_looked_up(hello: Hello, tokens: JoinTokens, reason: str | None) -> None:
    refusal = check_hello(hello, tokens, "1.6.0")
    assert (refusal.reason if refusal else None) == reason


def test_first_join() -> None:
    grid = Grid("g", "main", "token")
    assert first_join("web", grid, {1, 3}, {"web"}) == NewNode("web-2", 2)
    assert first_join("web", grid, range(1, 255), set()) == NewNode("web", 255)
    full = first_join("web", grid, range(1, 256), set())
    assert isinstance(full, Refusal)
    assert full.reason == "GRID_FULL"
    assert "its subnet 10.81.0.0/16 has room for 255 nodes" in full.message.replace("Its", "its")


@pytest.mark.parametrize(
    ("bound_to", "engine_known", "reason"),
    [
        ("e", True, None),
        (None, False, None),
        (None, True, "NODE_ID_IN_USE"),
        ("other", True, "NODE_TOKEN_IN_USE"),
        ("other", False, "NODE_TOKEN_IN_USE"),
    ],
)
def test_joins_with_a_token_of_the_node(bound_to: str | None, engine_known: bool, reason: str | None) -> None:
    refusal = check_own_token(Node("n", "g", "one", 1, bound_to, StoredToken(b"t")), "e", engine_known=engine_known)
    assert (refusal.reason if refusal else None) == reason


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (Node("n", "g", "one", 1, "e"), None),
        (Node("n", "g", "one", 1, "e", StoredToken(b"t")), "NODE_HAS_TOKEN"),
    ],
)
def test_joins_of_known_machines_with_the_grid_token(node: Node, reason: str | None) -> None:
    refusal = check_known(node)
    assert (refusal.reason if refusal else None) == reason


def test_ends_have_the_codes_that_clients_know() -> None:
    assert Refusal(SessionReason.SESSION_RESET, "why").close == Close(4031, "why")
    assert Refusal(SessionReason.GRID_FULL, "why").close == Close(1006, "why")
    for reason in SessionReason:
        assert str(reason) == reason.name


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
    full = SessionRefused(Refusal(SessionReason.GRID_FULL, "no room"))
    assert (full.code.name, full.reason) == ("RESOURCE_EXHAUSTED", "GRID_FULL")
