"""`kctl api`: any request of the API, with the login of the context."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from kontena_ctl.command import command, group
from kontena_ctl.failures import Exit, Failure
from kontena_ctl.output import Format
from kontena_ctl.session import Session

app = group("Send any request to the API")


@command(app, "api")
def api(
    session: Session,
    method: Annotated[str, typer.Argument(metavar="METHOD", help="GET, POST, PUT, PATCH or DELETE")],
    path: Annotated[str, typer.Argument(metavar="PATH", help="such as /v1/grids; {grid} stands for the grid's name")],
    data: Annotated[str, typer.Option("-d", "--data", help="JSON body, @FILE, or - for stdin")] = "",
) -> None:
    """Send any request to the API and print the answer's document. /docs on the master shows what there is."""
    path = path if path.startswith("/") else f"/{path}"
    if "{grid}" in path:
        path = path.replace("{grid}", session.grid)
    document = session.client.call(method.upper(), path, {}, _body(data), {})
    if session.output.format is Format.TABLE and not sys.stdout.isatty():
        session.output.line(json.dumps(document, ensure_ascii=False))
    else:
        session.output.document(document)


def _body(data: str) -> Any:
    if not data:
        return None
    if data == "-":
        text = sys.stdin.read()
    elif data.startswith("@"):
        text = Path(data[1:]).read_text()
    else:
        text = data
    try:
        return json.loads(text)
    except ValueError as error:
        raise Failure(f"The body is no JSON: {error}", code=Exit.USAGE) from error
