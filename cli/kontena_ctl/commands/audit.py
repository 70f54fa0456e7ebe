"""`kctl audit`."""

from typing import Annotated, Any

import typer

from kontena_ctl.command import command, group
from kontena_ctl.resources import AUDIT
from kontena_ctl.session import Session
from kontena_ctl.verbs import listing

app = group("Who changed what")


@command(app, "audit")
def audit(
    session: Session,
    lines: Annotated[int, typer.Option("-n", "--lines", min=1, max=3000, help="So many of the latest.")] = 50,
    everywhere: Annotated[bool, typer.Option("--all", help="Of all grids and outside of them.")] = False,
) -> None:
    """Who changed what, the oldest first."""
    document: Any
    if everywhere:
        document = session.client.list_audit_logs(limit=str(lines))
    else:
        document = session.client.list_grid_audit_logs(session.grid, limit=str(lines))
    listing(session, AUDIT, document)
