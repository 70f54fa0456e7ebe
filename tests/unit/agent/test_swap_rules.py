"""What becomes of the containers of an instance whose swap was cut short."""

import pytest

from agent.domain.swap import Settlement, settle
from agent.runtime.ports import Container


def container(name: str, *, started: bool = False, running: bool = False, error: str = "") -> Container:
    labels = {"io.kontena.container.name": "web-1"}
    return Container(name, name, "image", labels, running, started_at_ns=int(started), start_error=error)


X, NEXT, FORMER = "web-1", "web-1.next", "web-1.former"
UP = container(X, started=True, running=True)
ENDED = container(X, started=True)
MADE = container(X)
FAILED = container(X, error="unable to find user")
SPARE = container(NEXT)
OLD = container(FORMER, started=True)
COPY = container("copy", started=True, running=True)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], Settlement(None)),
        ([UP], Settlement(UP)),
        ([SPARE, UP], Settlement(UP, discard=(SPARE,))),
        ([SPARE], Settlement(None, discard=(SPARE,))),
        ([SPARE, OLD], Settlement(OLD, restore=True, discard=(SPARE,))),
        ([OLD], Settlement(OLD, restore=True)),
        ([MADE, OLD], Settlement(MADE, OLD)),
        ([UP, OLD], Settlement(UP, discard=(OLD,))),
        ([ENDED, OLD], Settlement(ENDED, discard=(OLD,))),
        ([FAILED, OLD], Settlement(OLD, restore=True, discard=(FAILED,))),
        # Without another one to come back to, the one that does not start stays: it tells why.
        ([FAILED], Settlement(FAILED)),
        # Labels can be copied, names cannot; a renamed one is better than none.
        ([COPY, UP], Settlement(UP, discard=(COPY,))),
        ([COPY], Settlement(COPY)),
    ],
)
def test_names_and_starts_say_how_far_it_came(found: list[Container], expected: Settlement) -> None:
    assert settle(found) == expected
