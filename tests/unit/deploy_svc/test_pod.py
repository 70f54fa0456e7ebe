"""What a node is told to run (docs/spec/orchestration.md section 7)."""

import json
from dataclasses import replace

from services.deploy_svc.convert.assignments import pod_to_proto
from services.deploy_svc.domain import pod
from services.deploy_svc.domain.pod import PodVolume
from services.deploy_svc.domain.service_spec import DeployOpts, HealthCheck, Hook, Port, SecretRef
from services.deploy_svc.store.jsonb import POD, to_json
from tests.support.cluster import make_service


def test_names_follow_the_stack() -> None:
    service = make_service()
    built = pod.build(service, 2, "node-a")
    assert (built.container_name, built.hostname, built.domainname) == (
        "stack.web-2", "web-2", "stack.g.kontena.local"
    )  # fmt: skip
    bare = pod.build(replace(service, stack="null"), 2, "node-a")
    assert (bare.container_name, bare.hostname, bare.domainname) == ("web-2", "web-2", "g.kontena.local")


def test_platform_variables_come_after_the_own_ones() -> None:
    built = pod.build(make_service(env=("A=1", "KONTENA_GRID_NAME=mine")), 3, "node-a")
    assert built.env == (
        "A=1",
        "KONTENA_GRID_NAME=mine",
        "KONTENA_SERVICE_ID=s1",
        "KONTENA_SERVICE_NAME=web",
        "KONTENA_GRID_NAME=g",
        "KONTENA_PLATFORM_NAME=g",
        "KONTENA_STACK_NAME=stack",
        "KONTENA_NODE_NAME=node-a",
        "KONTENA_SERVICE_INSTANCE_NUMBER=3",
    )


def test_labels() -> None:
    checked = make_service(health_check=HealthCheck("tcp", 80))
    assert pod.build(checked, 1, "n").labels == {
        "io.kontena.service.id": "s1",
        "io.kontena.service.name": "web",
        "io.kontena.stack.name": "stack",
        "io.kontena.grid.name": "g",
        "io.kontena.platform.name": "g",
    }


def test_volumes_and_hooks() -> None:
    hooks = (
        Hook("post_start", "all", "a"),
        Hook("pre_start", "third", "b", instances="1, 3", oneshot=True),
    )
    service = make_service(volumes=("/data", "/host:/in:ro", "shared:/s"), hooks=hooks, entrypoint="/bin/sh -c 'x y'")
    built = pod.build(service, 3, "n")
    assert built.volumes == (
        PodVolume("/data"),
        PodVolume("/in", bind_mount="/host", flags="ro"),
        PodVolume("/s", name="shared"),
    )
    assert [hook.cmd for hook in built.hooks] == ["a", "b"]
    assert [hook.cmd for hook in pod.build(service, 2, "n").hooks] == ["a"]
    assert built.entrypoint == ("/bin/sh", "-c", "x y")


def test_secrets_are_references_in_order_and_everything_survives_json() -> None:
    service = make_service(
        secrets=(SecretRef("one", "CERTS"), SecretRef("two", "CERTS")),
        ports=(Port(80, 8080),),
        health_check=HealthCheck("http", 80),
        deploy_opts=DeployOpts(wait_for_port=80),
        cpus=1.5,
        memory=64,
        log_opts={"a": "b"},
    )
    built = pod.build(service, 1, "n")
    stored = json.loads(json.dumps(to_json(POD, built)))
    assert stored["secrets"] == [{"name": "CERTS", "secret": "one"}, {"name": "CERTS", "secret": "two"}]
    assert POD.validate_python(stored) == built
    message = pod_to_proto(built)
    assert (message.image, message.cpus, message.memory, message.wait_for_port) == ("app", 1.5, 64, 80)
    assert (message.ports[0].node_port, message.health_check.protocol, message.log_opts["a"]) == (80, "http", "b")
