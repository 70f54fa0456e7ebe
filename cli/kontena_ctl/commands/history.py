"""`kctl history`, `revisions` and `cancel`: what there was, and an end for a deploy that goes on."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from kontena_ctl.command import Target, Yes, command, group
from kontena_ctl.failures import Failure
from kontena_ctl.output import Column
from kontena_ctl.session import Session
from kontena_ctl.verbs import target_path
from kontena_ctl.words import age

app = group("Deploys that there were")
COLUMNS = (
    Column("DEPLOY", lambda one: one["id"]),
    Column("ASKED", lambda one: age(one["created_at"])),
    Column("STATE", lambda one: "canceled" if "canceled_at" in one else one["state"]),
    Column("TOOK", lambda one: f"{one['seconds']:.1f}s" if "seconds" in one else ""),
    Column("BY", lambda one: one.get("asked_by")),
    Column("FROM", lambda one: " ".join(filter(None, (one.get("origin"), one.get("origin_name"))))),
    Column("REVISION", lambda one: one.get("revision"), wide=True),
    Column("REASON", lambda one: one.get("reason")),
)

REVISIONS = (
    Column("REVISION", lambda one: one["revision"]),
    Column("MADE", lambda one: age(one["created_at"])),
    Column("BY", lambda one: one.get("author")),
    Column("VERSION", lambda one: one.get("version"), wide=True),
    Column("CHANGED", lambda one: list(_changed(one))),
)
_Limit = Annotated[int, typer.Option("-n", "--lines", min=1, max=100, help="So many of the latest.")]


def _changed(revision: Mapping[str, Any]) -> Iterator[str]:
    """Attributes, and what happened to which services; nothing for the oldest one that is kept."""
    yield from (change["attribute"] for change in revision["changes"])
    for service in revision.get("services", ()):
        told = "/".join(change["attribute"] for change in service["changes"]) or service["action"]
        yield f"{service['name']}:{told}"


@command(app, "history")
def history(session: Session, target: Target, limit: _Limit = 20) -> None:
    """The deploys of a service or stack, the newest first: who asked for them, what became of them."""
    document: Any = session.client.call("GET", f"{target_path(session, target)}/deploys", {"limit": limit})
    session.output.listed(document, COLUMNS, document["deploys"], lambda one: one["id"])


@command(app, "revisions")
def revisions(session: Session, target: Target, limit: _Limit = 20) -> None:
    """The revisions that a service or stack can go back to, the newest first: who made them, what they changed."""
    document: Any = session.client.call("GET", f"{target_path(session, target)}/revisions", {"limit": limit})
    session.output.listed(document, REVISIONS, document["revisions"], lambda one: one["revision"])


@command(app, "cancel")
def cancel(
    session: Session,
    target: Target,
    deploy: Annotated[str, typer.Option(metavar="ID", help="This one; else the one that goes on.")] = "",
    yes: Yes = False,
) -> None:
    """End a deploy: what runs stays, what is done stays, and nothing more begins."""
    path = target_path(session, target)
    if not deploy:
        document: Any = session.client.call("GET", f"{path}/deploys", {"limit": 100})
        under_way = [one["id"] for one in document["deploys"] if "finished_at" not in one]
        if not under_way:
            raise Failure(f"No deploy of {target} goes on.", f"kctl history {target}")
        # The oldest is the one that does something; those behind it wait for it.
        deploy = under_way[-1]
    session.confirm(f"Cancel deploy {deploy} of {target}?", yes=yes)
    canceled: Any = session.client.call("POST", f"{path}/deploys/{deploy}/cancel", {}, {})
    if not session.output.told(canceled, deploy):
        session.output.say(f"canceled deploy {deploy}: {canceled.get('reason') or 'nothing had begun'}")
