"""Every RPC that changes something leaves its events in the audit log, each once.

What changes something comes from the descriptors: a new RPC fails here until it has a step with its events, or stands
in one of the lists below with the reason why not. Each request has a user agent of its own, by which its events are
found.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from gateway.catalog import Method, load_descriptors, services
from kontena.deploy.v1.container_exec_pb2 import AttachExecRequest, ExecCmd, ExecStart
from kontena.deploy.v1.container_exec_pb2_grpc import ContainerExecServiceStub
from tests.e2e.audit_steps import EVE, filled, steps
from tests.e2e.auth_people import PROVIDER, configured
from tests.support.provider import provider_beside
from tests.support.suite import Api, soon

CATALOG = services(load_descriptors(Path(__file__).parents[2] / "gen" / "descriptors.binpb"))
STEPS = steps("kontena/e2e-busybox:1")
EXEC = "/kontena.deploy.v1.ContainerExecService/AttachExec"

# Public RPCs without a step, and why.
CHANGES_NOTHING = {
    "/kontena.auth.v1.OAuthService/LogInWithPassword": "refuses everybody",
}
# These need an authority for certificates.
WITH_AN_AUTHORITY = {
    f"/kontena.vault.v1.{name}": "tests/integration/vault_svc/test_audit.py"
    for name in (
        "CertificateService/RegisterAcmeAccount", "CertificateService/AuthorizeDomain",
        "CertificateService/CreateSecretCertificate", "CertificateService/CreateCertificate",
        "DomainAuthorizationService/CreateDomainAuthorization", "DomainAuthorizationService/DeleteDomainAuthorization",
    )
}  # fmt: skip
# RPCs of services and agents, which users do not call: those with such a name only read, the others are listed.
READS = re.compile(r"(Attach|Count|Find|Get|Introspect|List|Resolve|Watch)")
# What a node saw: nobody decided it.
OBSERVATIONS = {
    "/kontena.deploy.v1.ContainerReportService/ReportContainers", "/kontena.deploy.v1.EventIngestService/PushEvents",
    "/kontena.deploy.v1.GridEventService/RecordGridEvents", "/kontena.deploy.v1.LogIngestService/PushLogs",
    "/kontena.deploy.v1.StatsIngestService/PushStats",
}  # fmt: skip
# Effects of something that is recorded where it was decided, under the name of the user.
EFFECTS = {
    "/kontena.auth.v1.AuditIngestService/RecordAuditEvents": "the events themselves",
    "/kontena.auth.v1.GridMembershipService/AddGridMember": "Grid: create",
    "/kontena.auth.v1.GridMembershipService/RemoveGrid": "Grid: delete",
    "/kontena.deploy.v1.CommandRelayService/RelayCommand": "Container: exec",
    "/kontena.deploy.v1.GridEventService/RecordGridEvents": "GridSecret: delete, Certificate: renew",
    "/kontena.deploy.v1.SecretUsageService/CertificateChanged": "Certificate: create",
    "/kontena.deploy.v1.SecretUsageService/DeployLinkedService": "GridDomainAuthorization: create",
    "/kontena.deploy.v1.SecretUsageService/SecretChanged": "GridSecret: update",
    "/kontena.grid.v1.NodeSessionService/Connect": "HostNode: create, when the node is new",
}


def changes(method: Method) -> bool:
    return any(binding.verb != "GET" for binding in method.bindings) or not method.bindings


def test_every_rpc_that_changes_something_has_a_step_or_a_reason() -> None:
    public = {method.path for service in CATALOG if service.public for method in service.methods if changes(method)}
    covered = {path for path, _ in STEPS} | {EXEC}
    assert public - covered == set(CHANGES_NOTHING) | set(WITH_AN_AUTHORITY)
    inside = {method.path for service in CATALOG if not service.public for method in service.methods}
    assert {path for path in inside if not READS.match(path.split("/")[2])} == OBSERVATIONS | set(EFFECTS)


@pytest.fixture(scope="module")
def requests(api: Api) -> Iterator[dict[str, tuple[str, list[str]]]]:
    """Sends all requests; yields user agent and expected events of each, by RPC and number."""
    sent: dict[str, tuple[str, list[str]]] = {}
    known: dict[str, str] = {"grid": api.grid}
    with provider_beside() as provider, configured(api, PROVIDER | provider_keys(provider.url)):
        provider.says({"id": "eve", "email": EVE})
        for number, (path, step) in enumerate(STEPS):
            agent = f"audit-step/{number}"
            if step.before:
                step.before(api, known)
            headers = {"User-Agent": agent, **filled(dict(step.headers), known)}
            caller = api if step.token else Api(api.url, "", api.grid)
            answer = caller.request(step.verb, filled(step.path, known), filled(step.body, known), headers=headers)
            assert answer.status_code == step.status, f"{path}: {answer.status_code} {answer.text}"
            known |= {name: str(answer.json()[member]) for name, member in step.keep.items()}
            if path.endswith("/ExecContainer"):
                sent[EXEC] = attach(api, known["container"])
            sent[f"{path} {number}"] = (agent, list(step.events))
    yield sent
    soon(lambda: api.request("GET", f"/v1/stacks/{api.grid}/audited").status_code == 404)


def provider_keys(url: str) -> dict[str, str]:
    return {"oauth2.token_endpoint": f"{url}/token", "oauth2.userinfo_endpoint": f"{url}/userinfo"}


def attach(api: Api, container: str) -> tuple[str, list[str]]:
    """An interactive command over gRPC."""
    agent = "audit-step/exec"
    options = [("grpc.primary_user_agent", agent)]
    messages = [AttachExecRequest(start=ExecStart(id=container)), AttachExecRequest(cmd=ExecCmd(cmd=["true"]))]
    with grpc.insecure_channel(api.url.removeprefix("http://"), options=options) as channel:
        call: Any = ContainerExecServiceStub(channel).AttachExec
        answers = list(call(iter(messages), metadata=(("authorization", f"Bearer {api.token}"),), timeout=30))
    assert answers[-1].exit.code == 0
    return agent, ["Container: exec_interactive"]


def recorded(api: Api) -> dict[str, Counter[str]]:
    """Events by user agent."""
    found: dict[str, Counter[str]] = {}
    for entry in api.call("GET", "/v1/audit_logs?limit=3000")["logs"]:
        agent = entry.get("user_agent", "").split(" ")[0]
        found.setdefault(agent, Counter())[f"{entry['resource_type']}: {entry['event_name']}"] += 1
    return found


def test_each_event_is_recorded_once(api: Api, requests: dict[str, tuple[str, list[str]]]) -> None:
    last = "audit-step/last"
    sentinel = httpx.Headers({"User-Agent": last})
    for path, body in ((f"/v1/grids/{api.grid}", {}), (f"/v1/secrets/{api.grid}/LAST", {"value": "x", "upsert": True})):
        assert api.request("PUT", path, body, headers=dict(sentinel)).status_code in (200, 201)
    api.call("DELETE", f"/v1/secrets/{api.grid}/LAST")
    expected = {what: Counter(events) for what, (_, events) in requests.items()}

    def complete() -> bool:
        found = recorded(api)
        assert found.get(last, Counter()).total() == 2
        assert {what: found.get(agent, Counter()) for what, (agent, _) in requests.items()} == expected
        return True

    soon(complete, message="every event is in the audit log, once")


def test_no_value_of_a_secret_is_recorded(api: Api, requests: dict[str, tuple[str, list[str]]]) -> None:
    agents = {agent for agent, _ in requests.values()}
    entries = [one for one in api.call("GET", "/v1/audit_logs?limit=3000")["logs"] if one.get("user_agent") in agents]
    assert entries
    assert "PRIVATE KEY" not in str(entries)
    for entry in entries:
        assert set(entry) <= {
            "id", "time", "grid", "grid_id", "service", "resource_type", "resource_name", "resource_id", "event_name",
            "event_status", "source_ip", "user_agent", "user_identity",
        }  # fmt: skip
        assert entry["source_ip"] == "127.0.0.1"
