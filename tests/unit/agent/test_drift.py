"""Differences between a container and what was assigned."""

from dataclasses import replace

import pytest

from agent.domain.drift import Drift, Repair, Seen, Wanted, compare, shows_in_list

WANTED = Wanted("web-1", "kontena-main", frozenset({"web-1", "web-1.main.kontena.local"}))
AS_MADE = Seen("web-1", {"kontena-main": frozenset({"web-1", "web-1.main.kontena.local", "0123456789ab"})}, "no")


@pytest.mark.parametrize("fresh", [False, True])
def test_a_container_as_it_was_made_has_none(fresh: bool) -> None:
    assert compare(WANTED, AS_MADE, fresh=fresh) == ()
    assert compare(WANTED, replace(AS_MADE, networks={**AS_MADE.networks, "mine": ()}), fresh=fresh) == ()
    assert compare(Wanted("web-1"), replace(AS_MADE, networks={}), fresh=fresh) == ()


@pytest.mark.parametrize(
    ("seen", "words", "repair"),
    [
        (replace(AS_MADE, name="x"), "container web-1 was renamed to x", Repair.RENAME),
        (
            replace(AS_MADE, restart_policy="always"),
            "container web-1 was given the restart policy always of the engine",
            Repair.FORBID_RESTARTS,
        ),
        (replace(AS_MADE, networks={}), "container web-1 was taken off the network kontena-main", Repair.CONNECT),
    ],
)
def test_what_touches_no_process_is_repaired_at_once(seen: Seen, words: str, repair: Repair) -> None:
    assert compare(WANTED, seen, fresh=False) == (Drift(words, repair),)


@pytest.mark.parametrize(
    ("seen", "words", "repair"),
    [
        (
            replace(AS_MADE, paused=True),
            "container web-1 was paused by hand; unpause it, or deploy the service",
            Repair.UNPAUSE,
        ),
        (
            replace(AS_MADE, networks={"kontena-main": frozenset({"0123456789ab"})}),
            "container web-1 was put on the network kontena-main by hand, where nobody finds it by name; "
            "deploy the service",
            Repair.RECONNECT,
        ),
    ],
)
def test_the_rest_is_told_until_the_next_deploy(seen: Seen, words: str, repair: Repair) -> None:
    assert compare(WANTED, seen, fresh=False) == (Drift(words),)
    (found,) = compare(WANTED, seen, fresh=True)
    assert found.repair is repair


def test_what_a_list_shows() -> None:
    assert not shows_in_list(WANTED, "web-1", ["kontena-main"])
    assert shows_in_list(WANTED, "web-2", ["kontena-main"])
    assert shows_in_list(WANTED, "web-1", [])
    assert not shows_in_list(Wanted("web-1"), "web-1", ["host"])
