"""`kctl status`: is everything there."""

from typing import Any

from kontena_ctl.command import command, group
from kontena_ctl.session import Session
from kontena_ctl.words import count, listed

app = group("The master, its grid and its nodes at a glance")


@command(app, "status")
def status(session: Session) -> None:
    """The master, its grid and its nodes at a glance. Ends with 1 when something is wrong."""
    import typer  # noqa: PLC0415

    client = session.client
    master = client.call("GET", "/")
    document = {
        "master": {"url": client.url, "version": master.get("version"), "user": client.get_current_user()["email"]},
        "grid": session.grid,
        "nodes": client.list_nodes(session.grid)["nodes"],
        "services": client.list_services(session.grid)["services"],
    }
    problems = found(document)
    if not session.output.told({**document, "problems": problems}, session.grid):
        _tell(session, document, problems)
    if problems:
        raise typer.Exit(1)


def found(document: dict[str, Any]) -> list[str]:
    """What is not as it shall be, in sentences."""
    problems = [
        f"node {node['name']} is {node['status']}"
        + (f": {node['connection_error']}" if node.get("connection_error") else "")
        for node in document["nodes"]
        if node["status"] not in {"online", "drain"}
    ]
    for service in document["services"]:
        if service["state"] != "running" or service["strategy"] == "daemon":
            continue
        running, shall = service["instance_counts"]["running"], service["instances"]
        if running < shall:
            name = service["id"].partition("/")[2].removeprefix("null/")
            problems.append(f"{running} of {count(shall, 'instance')} of {name} run: kctl explain {name}")
    if not document["nodes"]:
        problems.append("the grid has no nodes: kctl node join")
    return problems


def _tell(session: Session, document: dict[str, Any], problems: list[str]) -> None:
    master, nodes, services = document["master"], document["nodes"], document["services"]
    online = sum(node["status"] == "online" for node in nodes)
    running = sum(service["state"] == "running" for service in services)
    lines = {
        "master": f"{master['url']} {master['version']}, logged in as {master['user']}",
        "grid": document["grid"],
        "nodes": f"{online} of {len(nodes)} online: {listed(sorted(node['name'] for node in nodes))}",
        "services": f"{running} of {len(services)} running",
        "problems": "none" if not problems else "",
    }
    session.output.details(lines)
    for problem in problems:
        session.output.line(f"  {problem}")
