"""`kctl node`."""

from functools import partial
from typing import Annotated

import typer

from kontena_ctl.command import command, completed, group
from kontena_ctl.failures import Exit, Failure
from kontena_ctl.resources import NODE
from kontena_ctl.session import Session
from kontena_ctl.verbs import about, add, shown

GROUP = True
app = group("Nodes: machines that run containers")
add(app, NODE)
_Node = Annotated[str, typer.Argument(metavar="NODE", autocompletion=completed("nodes"))]


@command(app, "drain")
def drain(session: Session, name: _Node) -> None:
    """Move what runs on a node elsewhere, and place nothing there."""
    _set_availability(session, name, "drain")


@command(app, "activate")
def activate(session: Session, name: _Node) -> None:
    """Place instances on a node again."""
    _set_availability(session, name, "active")


def _set_availability(session: Session, name: str, availability: str) -> None:
    shown(session, NODE, about(session, NODE, name, session.client.update_node, {"availability": availability}))


@command(app, "label")
def label(
    session: Session,
    name: _Node,
    labels: Annotated[list[str], typer.Argument(metavar="KEY=VALUE|KEY-...", help="KEY- takes a label away.")],
) -> None:
    """Add, replace and take away labels."""
    before = about(session, NODE, name, session.client.get_node)
    seen = session.client.headers.get("etag")
    after = _labelled(before["labels"], labels)
    update = partial(session.client.update_node, if_match=seen)
    shown(session, NODE, about(session, NODE, name, update, {"labels": after}))


def _labelled(before: list[str], wanted: list[str]) -> list[str]:
    found = dict(text.partition("=")[::2] for text in before)
    for text in wanted:
        key, equals, value = text.partition("=")
        if equals:
            found[key] = value
        elif text.endswith("-"):
            found.pop(text[:-1], None)
        else:
            raise Failure(f"{text!r} is no label: say KEY=VALUE, or KEY- to take it away.", code=Exit.USAGE)
    return [f"{key}={value}" if value else key for key, value in found.items()]


@command(app, "join")
def join(
    session: Session,
    container: Annotated[bool, typer.Option(help="For a machine with nothing but an engine.")] = False,
    uri: Annotated[str, typer.Option(help="Where the new node reaches the master.")] = "",
) -> None:
    """Print the script that makes a machine a node: kctl node join | ssh HOST sudo sh. It holds the join token."""
    document = session.client.get_grid_join(session.grid, uri=uri or None)
    if not session.output.told(document):
        session.output.raw(document["container" if container else "systemd"])


@command(app, "health")
def health(session: Session, name: _Node) -> None:
    """Show whether its agent is there, and how it is connected with the others."""
    shown(session, NODE, about(session, NODE, name, session.client.get_node_health))
