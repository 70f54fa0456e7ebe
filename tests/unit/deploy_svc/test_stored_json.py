"""Replicas of neighbouring releases run on one database: each reads what the other one stored."""

from typing import Any

from services.deploy_svc.domain import pod
from services.deploy_svc.domain.pod import PodHook, PodVolume
from services.deploy_svc.domain.service_spec import HealthCheck, Port, SecretRef, ServiceSpec
from services.deploy_svc.store.jsonb import POD, SPEC, to_json
from tests.support.cluster import make_service

# A pod as the first release stored it.
POD_BEFORE: dict[str, Any] = {
    "image": "app", "container_name": "stack.web-1", "hostname": "web-1", "domainname": "stack.g.kontena.local",
    "stateful": False, "exposed": False, "user": "", "cmd": ["a"], "entrypoint": ["sh"], "env": ["A=1"],
    "labels": {"io.kontena.service.name": "web"},
    "ports": [{"node_port": 80, "container_port": 8080, "ip": "127.0.0.1", "protocol": "tcp"}],
    "volumes": [
        {"bind_mount": "", "name": "", "path": "/data", "flags": ""},
        {"bind_mount": "", "name": "v", "path": "/v", "flags": "ro", "driver": "nfs", "driver_opts": {"a": "b"}},
    ],
    "volumes_from": [], "cpus": 0.0, "cpu_shares": 0, "memory": 0, "memory_swap": 0, "shm_size": 0,
    "privileged": False, "cap_add": [], "cap_drop": [], "net": "bridge", "pid": "", "read_only": False, "devices": [],
    "log_driver": "", "log_opts": {}, "stop_signal": "", "stop_grace_period": 10, "wait_for_port": 0,
    "health_check": {
        "protocol": "http", "port": 80, "uri": "/", "timeout": 10, "initial_delay": 10, "interval": 60,
    },
    "hooks": [{"id": "post_start/a", "type": "post_start", "cmd": "b", "oneshot": False}],
    "secrets": [{"name": "N", "secret": "S"}], "certificates": [],
}  # fmt: skip


def test_pods_of_the_release_before_are_read() -> None:
    found = POD.validate_python(POD_BEFORE)
    assert (found.cmd, found.entrypoint, found.ports, found.secrets) == (
        ("a",), ("sh",), (Port(80, 8080, "127.0.0.1"),), (SecretRef("S", "N"),)
    )  # fmt: skip
    assert found.volumes == (
        PodVolume("/data"), PodVolume("/v", name="v", flags="ro", driver="nfs", driver_opts={"a": "b"})
    )  # fmt: skip
    assert found.hooks == (PodHook("post_start/a", "post_start", "b", oneshot=False),)
    assert found.health_check == HealthCheck("http", 80)


def test_a_pod_without_new_attributes_has_the_members_that_the_release_before_knows() -> None:
    """It takes no others."""
    stored = to_json(POD, pod.build(make_service(health_check=HealthCheck("tcp", 80), ports=(Port(1, 2),)), 1, "n"))
    assert stored.keys() == POD_BEFORE.keys()
    assert stored["health_check"].keys() == POD_BEFORE["health_check"].keys()
    assert stored["ports"][0].keys() == POD_BEFORE["ports"][0].keys()


def test_what_a_release_after_stored_and_this_one_does_not_know_is_left_out() -> None:
    spec = ServiceSpec(image="app", stateful=False, ports=(Port(1, 2),))
    stored = to_json(SPEC, spec)
    stored["new"] = stored["ports"][0]["new"] = {"a": 1}
    assert SPEC.validate_python(stored) == spec


def test_what_the_release_before_did_not_store_has_its_default() -> None:
    assert SPEC.validate_python({"image": "app", "stateful": False}) == ServiceSpec(image="app", stateful=False)
