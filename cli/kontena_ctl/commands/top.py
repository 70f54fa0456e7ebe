"""`kctl top`: what containers use."""

from typing import Annotated, Any

import typer

from kontena_ctl.command import command, completed, group
from kontena_ctl.output import Column
from kontena_ctl.session import Session
from kontena_ctl.words import size

app = group("Use of processors and memory by containers")
_COLUMNS = (
    Column("CONTAINER", lambda one: one["container_id"]),
    Column("CPU", lambda one: f"{one['cpu']['usage']:.1f}%" if "cpu" in one else ""),
    Column("MEMORY", lambda one: size(one["memory"]["usage"]) if "memory" in one else ""),
    Column("LIMIT", lambda one: size(one["memory"]["limit"]) if "memory" in one else ""),
    Column("RECEIVED/S", lambda one: _rate(one, "rx_bytes_per_second")),
    Column("SENT/S", lambda one: _rate(one, "tx_bytes_per_second")),
)
_Sort = Annotated[str, typer.Option(metavar="cpu|memory|rx_bytes|tx_bytes", help="The largest first.")]


@command(app, "top")
def top(
    session: Session,
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", autocompletion=completed("services"))] = "",
    node: Annotated[str, typer.Option(help="Only on this node.", autocompletion=completed("nodes"))] = "",
    sort: _Sort = "cpu",
    limit: Annotated[int, typer.Option(min=1, help="So many.")] = 50,
) -> None:
    """The newest samples of the running containers of the grid, of a node or of a service."""
    options: dict[str, Any] = {"sort": sort, "limit": str(limit)}
    document: Any
    if service:
        document = session.client.list_service_stats(*session.service(service), **options)
    elif node:
        document = session.client.list_node_stats(session.grid, node, **options)
    else:
        document = session.client.list_grid_stats(session.grid, **options)
    session.output.listed(document, _COLUMNS, document["stats"], lambda one: one["container_id"])


def _rate(one: Any, member: str) -> str:
    network = one.get("network")
    if not network:
        return ""
    return size(sum(network.get(part, {}).get(member, 0) for part in ("internal", "external")))
