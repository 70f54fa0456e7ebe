"""The manifests as kustomize makes them: valid, without secrets, and about what the processes really read and serve."""

import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import identities
from deploy.kubernetes import calls
from deploy.roles import ROLES
from gateway.settings import GatewaySettings
from services.kernel import addresses
from services.kernel.callers import CALLERS
from tests.support.roles import SECRETS, read_by

REPOSITORY = Path(__file__).parents[3]
FOLDER = REPOSITORY / "deploy" / "kubernetes"
INSTALLATIONS = ("overlays/small", "overlays/highly-available", "agent")
# Of operators that the cluster may or may not have.
UNKNOWN_KINDS = ("PodMonitor", "Issuer", "Certificate")
# Kubernetes fills it in from the pod.
FROM_THE_POD = {"POD_IP"}


@pytest.fixture(scope="module")
def kubernetes() -> Iterator[Any]:
    """The definitions of Kubernetes. It takes two seconds to load, which only the worker that needs it shall spend."""
    found = importlib.import_module("kubernetes_validate")
    with pytest.MonkeyPatch.context() as patch:
        # It would read all definitions for each document, which takes most of its time.
        patch.setattr(found.utils, "schema_contents", cache(found.utils.schema_contents))
        yield found


@cache
def rendered(installation: str) -> str:
    if shutil.which("kubectl") is None:
        if os.environ.get("KONTENA_REQUIRE_DOCKER"):
            pytest.fail("kubectl is not installed; .ci/run installs it")
        pytest.skip("kubectl is not installed")
    done = subprocess.run(
        ["kubectl", "kustomize", FOLDER / installation], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def documents(installation: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(rendered(installation)))


def pods(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What a document has pods made of, whatever makes them."""
    spec = document.get("spec", {})
    templates = (spec.get("template"), spec.get("jobTemplate", {}).get("spec", {}).get("template"))
    return [template["spec"] for template in templates if template]


def containers(installation: str) -> list[dict[str, Any]]:
    return [one for document in documents(installation) for pod in pods(document) for one in pod["containers"]]


def faults(text: str) -> list[str]:
    """What may not stand in a manifest: a secret in plain text, an image that is another one tomorrow."""
    found = []
    for document in yaml.safe_load_all(text):
        if document["kind"] == "Secret":
            found.append(f"Secret {document['metadata']['name']} is kept here")
        for container in (one for pod in pods(document) for one in pod["containers"]):
            if not re.search(r":[\w.-]+$", container["image"]) or container["image"].endswith(":latest"):
                found.append(f"{container['image']} names no version")
            found += [
                f"{one['name']} is a plain text"
                for one in container.get("env", ())
                if one["name"] in SECRETS and "value" in one
            ]
    return found


@pytest.mark.parametrize("installation", INSTALLATIONS)
def test_manifests_are_valid(installation: str, kubernetes: Any) -> None:
    unknown = set()
    for document in documents(installation):
        try:
            kubernetes.validate(document, kubernetes.latest_version(), strict=True)
        except kubernetes.SchemaNotFoundError:
            unknown.add(document["kind"])
    assert unknown <= set(UNKNOWN_KINDS)


def test_a_manifest_with_a_typo_is_none(kubernetes: Any) -> None:
    wrong = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "dta": {}}
    with pytest.raises(kubernetes.ValidationError, match="dta"):
        kubernetes.validate(wrong, kubernetes.latest_version(), strict=True)


@pytest.mark.parametrize("installation", INSTALLATIONS)
def test_manifests_hold_no_secret_and_name_every_version(installation: str) -> None:
    assert faults(rendered(installation)) == []


def test_a_plain_secret_and_a_floating_version_are_found() -> None:
    pod = {"env": [{"name": "VAULT_KEY", "value": "x"}], "image": "kontena/suite:latest"}
    text = yaml.safe_dump_all(
        [
            {"kind": "Deployment", "spec": {"template": {"spec": {"containers": [pod]}}}},
            {"kind": "Secret", "metadata": {"name": "kontena"}},
        ]
    )
    assert len(faults(text)) == 3
    cron = {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [pod]}}}}}}
    assert len(faults(yaml.safe_dump(cron))) == 2


@pytest.mark.parametrize("installation", INSTALLATIONS[:2])
def test_no_pod_may_do_anything_beside_its_work(installation: str) -> None:
    found = [pod for document in documents(installation) for pod in pods(document)]
    for pod in found:
        assert pod["automountServiceAccountToken"] is False
        assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 10001)
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
    # Each part, the migrations and the backups.
    assert len(found) == len(calls.PORTS) + 2


@pytest.mark.parametrize("installation", INSTALLATIONS[:2])
def test_a_pod_is_found_before_the_one_that_it_replaces_stops(installation: str) -> None:
    lookup = max(addresses._LOOK_AGAIN_SECONDS, GatewaySettings().dns_refresh_seconds)
    for one in documents(installation):
        if one["kind"] == "Deployment":
            assert one["spec"]["minReadySeconds"] >= 2 * lookup
            assert one["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_a_backup_is_made_each_night_onto_a_volume_of_the_installation() -> None:
    found = documents("overlays/highly-available")
    (cron,) = [one for one in found if one["kind"] == "CronJob"]
    (pod,) = pods(cron)
    (container,) = pod["containers"]
    assert container["args"] == ["backup", "--once"]
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    (claim,) = [one["metadata"]["name"] for one in found if one["kind"] == "PersistentVolumeClaim"]
    assert pod["volumes"] == [{"name": "backups", "persistentVolumeClaim": {"claimName": claim}}]
    given = {one["name"]: one for one in container["env"]}
    assert given["BACKUP_FOLDER"]["value"].startswith(container["volumeMounts"][0]["mountPath"])
    # What the services keep secret is in the backup.
    (settings,) = [one["data"] for one in found if one["kind"] == "ConfigMap"]
    services = [pods(one)[0]["containers"][0] for one in found if one["kind"] == "Deployment"]
    secret = {one["name"] for each in services for one in each["env"] if one["name"] in SECRETS}
    assert secret - {"GATEWAY_METRICS_TOKEN"} <= {*given, *settings}


@pytest.mark.parametrize("installation", INSTALLATIONS)
def test_every_variable_is_one_that_the_role_reads(installation: str) -> None:
    shared: set[str] = set()
    for document in documents(installation):
        if document["kind"] == "ConfigMap":
            shared = set(document["data"])
    for container in containers(installation):
        role = container["args"][0]
        assert role in {*ROLES, "migrate"}
        given = {one["name"] for one in container.get("env", ())} - FROM_THE_POD
        assert given <= read_by(role), role
    assert shared <= read_by("migrate")


def test_ports_are_those_of_the_table_of_calls() -> None:
    for container in containers("overlays/highly-available"):
        role = container["args"][0].replace("_", "-")
        if role not in calls.PORTS:
            continue
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports == {**calls.PORTS[role], "metrics": calls.METRICS_PORT}
        listen = {one["name"]: one.get("value", "") for one in container["env"]}.get("LISTEN_ADDRESS")
        assert listen is None or listen == f"0.0.0.0:{next(iter(calls.PORTS[role].values()))}"


def test_only_the_gateway_is_for_everybody_and_nobody_calls_an_engine() -> None:
    open_to_all = set()
    for policy in calls.policies():
        for rule in policy["spec"]["ingress"]:
            if not rule.get("from"):
                open_to_all.add(policy["metadata"]["name"])
    assert open_to_all == {"gateway"}
    engine = next(policy for policy in calls.policies() if policy["metadata"]["name"] == "deploy-engine")
    assert [port["port"] for rule in engine["spec"]["ingress"] for port in rule["ports"]] == [calls.METRICS_PORT]


@pytest.mark.parametrize("installation", INSTALLATIONS[:2])
def test_requests_and_loops_have_pods_of_their_own(installation: str) -> None:
    roles = {}
    for document in documents(installation):
        if document["kind"] == "Deployment":
            (container,) = document["spec"]["template"]["spec"]["containers"]
            given = {one["name"]: one.get("value") for one in container["env"]}
            if container["args"] == ["deploy_svc"]:
                roles[document["metadata"]["name"]] = given.get("DEPLOY_ROLE")
    assert roles == {"deploy-svc": "api", "deploy-engine": "engine"}
    services = [one for one in documents(installation) if one["kind"] == "Service"]
    selected = {one["spec"]["selector"]["app.kubernetes.io/component"] for one in services}
    assert "deploy-engine" not in selected


def test_network_policies_follow_the_table_and_the_table_the_code() -> None:
    assert calls.TARGET.read_text() == calls.render(), "run python -m deploy.kubernetes.calls"
    for caller in ("auth", "grid", "deploy", "vault"):
        code = "".join(path.read_text() for path in (REPOSITORY / "services" / f"{caller}_svc").rglob("*.py"))
        called = {f"{name}-svc" for name in re.findall(r"""\.to\("(auth|grid|deploy|vault)"\)""", code)}
        listed = {part for part, callers in CALLERS.items() if f"{caller}-svc" in callers}
        # Replicas of one service call each other at addresses that they tell in the database.
        assert called == listed - {f"{caller}-svc"}


@pytest.mark.parametrize("installation", INSTALLATIONS[:2])
def test_each_part_has_an_identity_that_the_others_know_it_by(installation: str) -> None:
    found = documents(installation)
    certificates = {
        one["spec"]["secretName"]: one["spec"]["dnsNames"]
        for one in found
        if one["kind"] == "Certificate" and "dnsNames" in one["spec"]
    }
    assert certificates == {f"{part}-identity": [part] for part in identities.PARTS}
    for one in found:
        if one["kind"] == "Deployment":
            pod, name = one["spec"]["template"]["spec"], one["metadata"]["name"]
            mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
            (secret,) = [volume["secret"]["secretName"] for volume in pod["volumes"] if volume["name"] == "identity"]
            assert (secret, mounts["identity"]) == (f"{name}-identity", "/identity")
    (shared,) = [one["data"] for one in found if one["kind"] == "ConfigMap"]
    assert shared["MTLS_FOLDER"] == "/identity"


def test_each_part_of_a_highly_available_installation_has_two_replicas_and_keeps_one() -> None:
    found = documents("overlays/highly-available")
    deployments = {one["metadata"]["name"]: one["spec"]["replicas"] for one in found if one["kind"] == "Deployment"}
    budgets = {one["metadata"]["name"] for one in found if one["kind"] == "PodDisruptionBudget"}
    assert set(deployments) == budgets == set(calls.PORTS)
    assert set(deployments.values()) == {2}
