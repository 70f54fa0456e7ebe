"""`kctl explain`: why a service is not as it shall be."""

from kontena_ctl.command import Service, command, group
from kontena_ctl.reasons import Facts, reasons
from kontena_ctl.resources import SERVICE
from kontena_ctl.session import ServiceName, Session
from kontena_ctl.verbs import about

app = group("Why a service is not as it shall be")


@command(app, "explain")
def explain(session: Session, service: Service) -> None:
    """Why a service is not as it shall be: not placed, not started, not healthy, or started again and again."""
    client = session.client
    document = about(session, SERVICE, service, client.get_service)
    name = ServiceName(*document["id"].split("/"))
    facts = Facts(
        document,
        client.list_instances(*name)["instances"],
        client.list_service_containers(*name)["containers"],
        client.list_service_event_logs(*name, limit="50")["logs"],
        client.list_nodes(name.grid)["nodes"],
    )
    found = reasons(facts)
    if session.output.told({"service": document["id"], "reasons": found}, document["id"]):
        return
    for reason in found:
        session.output.line(reason)
