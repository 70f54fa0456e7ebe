"""`kctl explain`: why a service is not as it shall be."""

from kontena_ctl.command import Service, command, group
from kontena_ctl.output import Format
from kontena_ctl.reasons import Facts, reasons
from kontena_ctl.session import Session

app = group("Why a service is not as it shall be")


@command(app, "explain")
def explain(session: Session, service: Service) -> None:
    """Why a service is not as it shall be: not placed, not started, not healthy, or started again and again."""
    name = session.service(service)
    client = session.client
    with session.named("service", service, lambda: [str(one) for one in session.service_names()]):
        document = client.get_service(*name)
    facts = Facts(
        document,
        client.list_instances(*name)["instances"],
        client.list_service_containers(*name)["containers"],
        client.list_service_event_logs(*name, limit="50")["logs"],
        client.list_nodes(name.grid)["nodes"],
    )
    found = reasons(facts)
    if session.output.structured:
        session.output.document({"service": document["id"], "reasons": found})
        return
    if session.output.format is Format.NAME:
        session.output.line(document["id"])
        return
    for reason in found:
        session.output.line(reason)
