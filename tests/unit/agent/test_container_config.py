"""Assignment to the engine's create request."""

from typing import Any

import pytest

from agent.domain.data import DataMount
from agent.domain.errors import ConfigInvalid
from agent.domain.hooks import Hook
from agent.domain.labels import InstanceKey, key_of
from agent.runtime.config import (
    container_candidates,
    container_config,
    data_volume,
    hook_container_config,
    named_volumes,
)
from kontena.deploy.v1 import assignment_pb2 as pb
from tests.unit.agent.agent_factories import NODE, assignment


def config(pod: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return container_config(assignment(pod=pod, **changed), NODE)


def test_what_is_not_set_is_left_to_the_engine() -> None:
    body = config({"hostname": "", "domainname": ""})
    assert set(body) == {"Image", "Env", "Labels", "HostConfig", "StopTimeout", "NetworkingConfig"}
    assert body["HostConfig"] == {
        "NetworkMode": "kontena-main",
        "RestartPolicy": {"Name": "no"},
        "Privileged": False,
        "ReadonlyRootfs": False,
    }


def test_process_settings() -> None:
    body = config({"user": "nobody", "cmd": ["a", "b"], "entrypoint": ["/init"], "stop_signal": "SIGINT"})
    assert (body["User"], body["Cmd"], body["Entrypoint"]) == ("nobody", ["a", "b"], ["/init"])
    assert (body["StopSignal"], body["StopTimeout"]) == ("SIGINT", 1)


def test_labels_tell_whose_container_it_is_and_cannot_be_forged() -> None:
    labels = config({"labels": {"io.kontena.node.id": "forged", "mine": "1"}, "exposed": True})["Labels"]
    assert labels["io.kontena.node.id"] == NODE.node_id
    assert labels["mine"] == "1"
    assert labels["io.kontena.container.type"] == "container"
    assert labels["io.kontena.container.pod"] == "web-1"
    assert labels["io.kontena.service.instance_number"] == "1"
    assert labels["io.kontena.container.service_revision"] == "1"
    assert labels["io.kontena.service.exposed"] == "1"


def test_published_ports_keep_every_binding() -> None:
    ports = [
        {"ip": "127.0.0.1", "node_port": 80, "container_port": 8080, "protocol": "tcp"},
        {"node_port": 81, "container_port": 8080},
        {"node_port": 53, "container_port": 53, "protocol": "udp"},
    ]
    body = config({"ports": ports})
    assert body["ExposedPorts"] == {"8080/tcp": {}, "53/udp": {}}
    assert body["HostConfig"]["PortBindings"] == {
        "8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}, {"HostIp": "0.0.0.0", "HostPort": "81"}],  # noqa: S104
        "53/udp": [{"HostIp": "0.0.0.0", "HostPort": "53"}],  # noqa: S104
    }


def test_the_host_network_has_no_ports_and_no_name_of_its_own() -> None:
    body = config({"net": "host", "ports": [{"node_port": 80, "container_port": 80}]})
    assert body["HostConfig"]["NetworkMode"] == "host"
    assert not {"Hostname", "Domainname", "ExposedPorts", "NetworkingConfig"} & set(body)
    assert "PortBindings" not in body["HostConfig"]


def test_names_and_search_domains() -> None:
    body = config({"domainname": "stack.main.kontena.local"})
    assert (body["Hostname"], body["Domainname"]) == ("web-1", "stack.main.kontena.local")
    assert body["HostConfig"]["DnsSearch"] == ["stack.main.kontena.local", "main.kontena.local"]


def test_resources() -> None:
    host = config({"cpus": 1.5, "cpu_shares": 512, "memory": 1e9, "memory_swap": 2e9, "shm_size": 64e6})["HostConfig"]
    assert (host["CpuPeriod"], host["CpuQuota"], host["CpuShares"]) == (100_000, 150_000, 512)
    assert (host["Memory"], host["MemorySwap"], host["ShmSize"]) == (10**9, 2 * 10**9, 64 * 10**6)


def test_rights() -> None:
    pod = {"privileged": True, "cap_add": ["NET_ADMIN"], "cap_drop": ["MKNOD"], "pid": "host", "read_only": True}
    host = config(pod)["HostConfig"]
    assert (host["Privileged"], host["ReadonlyRootfs"], host["PidMode"]) == (True, True, "host")
    assert (host["CapAdd"], host["CapDrop"]) == (["NET_ADMIN"], ["MKNOD"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/dev/fuse", ("/dev/fuse", "/dev/fuse", "rwm")),
        ("/dev/a:/dev/b", ("/dev/a", "/dev/b", "rwm")),
        ("/dev/a:/dev/b:r", ("/dev/a", "/dev/b", "r")),
    ],
)
def test_devices(text: str, expected: tuple[str, str, str]) -> None:
    names = ("PathOnHost", "PathInContainer", "CgroupPermissions")
    assert config({"devices": [text]})["HostConfig"]["Devices"] == [dict(zip(names, expected, strict=True))]


def test_a_device_without_a_path_is_an_error() -> None:
    with pytest.raises(ConfigInvalid, match="names no path"):
        config({"devices": [":/dev/x"]})


def test_log_driver() -> None:
    host = config({"log_driver": "fluentd", "log_opts": {"tag": "x"}})["HostConfig"]
    assert host["LogConfig"] == {"Type": "fluentd", "Config": {"tag": "x"}}
    # Without a driver they are for that of the engine.
    assert config({"log_opts": {"tag": "x"}})["HostConfig"]["LogConfig"] == {"Type": "", "Config": {"tag": "x"}}


def test_volumes_of_a_stateless_instance() -> None:
    volumes = [
        {"path": "/cache"},
        {"bind_mount": "/srv", "path": "/srv", "flags": "ro"},
        {"name": "main.data", "path": "/data"},
    ]
    body = config({"volumes": volumes, "volumes_from": ["db-%s"]})
    assert body["Volumes"] == {"/cache": {}}
    assert body["HostConfig"]["Binds"] == ["/srv:/srv:ro", "main.data:/data"]
    assert body["HostConfig"]["VolumesFrom"] == ["db-%s"]


def test_a_stateful_instance_keeps_its_data_in_volumes_that_its_container_names() -> None:
    wanted = assignment(pod={"stateful": True, "volumes": [{"path": "/data"}, {"name": "main.x", "path": "/x"}]})
    body = container_config(wanted, NODE, data=[DataMount("/data", "kept"), DataMount("/new", "made", fresh=True)])
    assert "Volumes" not in body
    assert body["HostConfig"]["Binds"] == ["main.x:/x", "kept:/data:nocopy", "made:/new"]
    assert body["Labels"]["io.kontena.container.data_volumes"] == '{"/data": "kept", "/new": "made"}'


def test_a_data_volume_says_whose_it_is() -> None:
    wanted = assignment(2, pod={"stateful": True})
    volume = data_volume(wanted, NODE, DataMount("/data", "kept"))
    assert (volume.name, volume.driver) == ("kept", "local")
    assert key_of(volume.labels) == InstanceKey(wanted.service_id, 2)
    assert volume.labels["io.kontena.volume.path"] == "/data"
    assert volume.labels["io.kontena.node.id"] == NODE.node_id


def test_secrets_are_variables_and_other_types_are_not() -> None:
    secrets = [pb.PodSecret(name="A", type="env", value="1"), pb.PodSecret(name="B", type="file", value="2")]
    assert config({"env": ["X=0"]}, secrets=secrets)["Env"] == ["X=0", "A=1"]


def test_volumes_from_names_an_instance_of_the_same_number_in_the_same_stack() -> None:
    wanted = assignment(2, pod={"labels": {"io.kontena.stack.name": "shop"}})
    assert container_candidates("db-%s", wanted) == ["db-2", "shop-db-2", "shop.db-2"]


def test_a_container_is_found_by_its_names_on_the_network_of_its_grid() -> None:
    body = config({"domainname": "shop.main.kontena.local", "labels": {"io.kontena.stack.name": "shop"}})
    assert body["HostConfig"]["NetworkMode"] == "kontena-main"
    endpoint = body["NetworkingConfig"]["EndpointsConfig"]["kontena-main"]
    assert endpoint["Aliases"] == ["web.shop.main.kontena.local", "web-1.shop.main.kontena.local"]


def test_another_network_is_taken_as_it_is() -> None:
    body = config({"net": "container:db-1", "ports": [{"node_port": 80, "container_port": 80}]})
    assert body["HostConfig"]["NetworkMode"] == "container:db-1"
    assert not {"Hostname", "ExposedPorts", "NetworkingConfig"} & set(body)
    assert "DnsSearch" not in body["HostConfig"]


MIGRATE = Hook("pre_start/migrate", "pre_start", "echo hi", oneshot=False)


def test_the_container_of_a_hook_has_all_but_ports_and_dns_names() -> None:
    pod = {"ports": [{"node_port": 80, "container_port": 80}], "volumes": [{"name": "data", "path": "/data"}]}
    hook = hook_container_config(config({**pod, "env": ["A=1"], "user": "nobody"}), MIGRATE)
    assert (hook["Entrypoint"], hook["Cmd"]) == (["/bin/sh"], ["-c", "echo hi"])
    assert (hook["Env"], hook["User"]) == (["A=1"], "nobody")
    assert hook["HostConfig"]["Binds"] == ["data:/data"]
    assert hook["HostConfig"]["NetworkMode"] == "kontena-main"
    assert "PortBindings" not in hook["HostConfig"]
    assert not {"NetworkingConfig", "ExposedPorts"} & set(hook)
    assert hook["Labels"]["io.kontena.container.type"] == "service_hook"
    assert hook["Labels"]["io.kontena.container.hook"] == "pre_start/migrate"


def test_only_named_volumes_are_made_before_the_container() -> None:
    volumes = [
        {"path": "/cache"},
        {"bind_mount": "/srv", "path": "/srv"},
        {"name": "main.data", "path": "/data"},
        {"name": "main.nfs", "path": "/nfs", "driver": "nfs", "driver_opts": {"share": "x"}},
    ]
    found = named_volumes(assignment(pod={"volumes": volumes}), NODE)
    assert [(v.name, v.driver, dict(v.driver_opts)) for v in found] == [
        ("main.data", "local", {}),
        ("main.nfs", "nfs", {"share": "x"}),
    ]
    assert found[0].labels["io.kontena.grid.name"] == "main"


def test_a_health_check_is_written_on_the_container() -> None:
    check = {"protocol": "http", "port": 8080, "interval": 5}
    labels = config({"health_check": check})["Labels"]
    found = {name.rpartition(".")[2]: value for name, value in labels.items() if ".health_check." in name}
    assert found == {
        "protocol": "http", "port": "8080", "interval": "5", "timeout": "10", "initial_delay": "10", "uri": "/",
    }  # fmt: skip
