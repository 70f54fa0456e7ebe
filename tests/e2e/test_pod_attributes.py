"""Every attribute of a service, from the REST API to what the Docker Engine was asked for."""

from pathlib import Path
from typing import Any

from tests.e2e.pods import service
from tests.support.containers import Docker
from tests.support.ports import free_port
from tests.support.suite import Api, soon

TCP_PORT, UDP_PORT = free_port(), free_port()
ATTRIBUTES: dict[str, Any] = {
    "user": "nobody",
    "entrypoint": "/bin/sh -c",
    "cmd": ["id -un; exec sleep 100000"],
    "env": ["GREETING=hello world", "EMPTY="],
    "cpus": 0.5,
    "cpu_shares": 256,
    "memory": 64_000_000,
    "memory_swap": 128_000_000,
    "shm_size": 8_000_000,
    "cap_add": ["NET_ADMIN"],
    "cap_drop": ["MKNOD"],
    "devices": ["/dev/null:/dev/nothing:rw"],
    "pid": "host",
    "read_only": True,
    "log_driver": "json-file",
    "log_opts": {"max-size": "1m", "max-file": 2},
    "stop_signal": "SIGINT",
    "stop_grace_period": "3s",
    "ports": [
        {"ip": "127.0.0.1", "node_port": TCP_PORT, "container_port": 81},
        {"ip": "127.0.0.1", "node_port": UDP_PORT, "container_port": 81, "protocol": "udp"},
    ],
    "health_check": {"protocol": "tcp", "port": 81, "initial_delay": 3600, "interval": 60, "timeout": 10},
}


def one(docker: Docker, name: str) -> dict[str, Any]:
    """The only container of a service."""
    return docker.one(name)


def test_the_engine_is_asked_for_every_attribute_of_a_service(
    api: Api, docker: Docker, image: str, tmp_path: Path
) -> None:
    for name, value in (("ONE", "first"), ("TWO", "second")):
        api.call("POST", f"/v1/grids/{api.grid}/secrets", {"name": name, "value": value}, status=201)
    volume = {"name": "kept", "scope": "instance", "driver": "local"}
    api.call("POST", f"/v1/volumes/{api.grid}", volume, status=201)
    secrets = [{"secret": "ONE", "name": "BOTH"}, {"secret": "TWO", "name": "BOTH"}]
    mounts = ["/anonymous", f"{tmp_path}:/host:ro", "kept:/named"]
    with service(api, "lender", image, volumes=["/lent"]) as lender:
        api.deploy(lender)
        more = {"secrets": secrets, "volumes": mounts, "volumes_from": ["lender-%s"]}
        more["links"] = [{"name": "null/lender", "alias": "lender"}]
        with service(api, "whole", image, **ATTRIBUTES, **more) as name:
            api.deploy(name)
            shown = one(docker, name)
            lines = soon(lambda: api.call("GET", f"/v1/services/{name}/container_logs")["logs"])
            assert [line["data"] for line in lines] == ["nobody"]
            environment_is_complete(shown, name)
            settings_are_complete(shown)
            mounts_are_complete(shown, tmp_path)
        soon(lambda: docker.all(name) == [])
    # Data of named volumes outlives services.
    docker.command("volume", "rm", "whole.kept-1")
    soon(lambda: api.request("DELETE", f"/v1/volumes/{api.grid}/kept").status_code == 200)
    for name in ("ONE", "TWO"):
        api.call("DELETE", f"/v1/secrets/{api.grid}/{name}")


def environment_is_complete(shown: dict[str, Any], name: str) -> None:
    env = shown["Config"]["Env"]
    service_id = shown["Config"]["Labels"]["io.kontena.service.id"]
    grid, stack, _ = name.split("/")
    assert [entry for entry in env if not entry.startswith("PATH=")] == [
        "GREETING=hello world",
        "EMPTY=",
        f"KONTENA_SERVICE_ID={service_id}",
        "KONTENA_SERVICE_NAME=whole",
        f"KONTENA_GRID_NAME={grid}",
        f"KONTENA_PLATFORM_NAME={grid}",
        f"KONTENA_STACK_NAME={stack}",
        "KONTENA_NODE_NAME=local-node",
        "KONTENA_SERVICE_INSTANCE_NUMBER=1",
        "BOTH=first\nsecond",
    ]


def settings_are_complete(shown: dict[str, Any]) -> None:
    host, config, labels = shown["HostConfig"], shown["Config"], shown["Config"]["Labels"]
    grid = labels["io.kontena.grid.name"]
    assert (shown["Name"], config["Hostname"], config["Domainname"]) == ("/whole-1", "whole-1", f"{grid}.kontena.local")
    assert host["DnsSearch"] == [f"{grid}.kontena.local", "kontena.local"]
    assert (config["User"], config["Entrypoint"], config["Cmd"]) == ("nobody", ["/bin/sh", "-c"], ATTRIBUTES["cmd"])
    assert (host["Memory"], host["MemorySwap"], host["ShmSize"]) == (64_000_000, 128_000_000, 8_000_000)
    assert (host["CpuPeriod"], host["CpuQuota"], host["CpuShares"]) == (100_000, 50_000, 256)
    assert [cap.removeprefix("CAP_") for cap in (*host["CapAdd"], *host["CapDrop"])] == ["NET_ADMIN", "MKNOD"]
    assert (host["Privileged"], host["PidMode"], host["ReadonlyRootfs"]) == (False, "host", True)
    device = {"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "rw"}
    assert host["Devices"] == [device]
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}}
    assert (config["StopSignal"], config["StopTimeout"], host["RestartPolicy"]["Name"]) == ("SIGINT", 3, "no")
    assert host["PortBindings"] == {
        "81/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(TCP_PORT)}],
        "81/udp": [{"HostIp": "127.0.0.1", "HostPort": str(UDP_PORT)}],
    }
    assert list(shown["NetworkSettings"]["Networks"]) == [f"kontena-{grid}"]
    assert labels["io.kontena.health_check.protocol"] == "tcp"
    assert (labels["io.kontena.service.instance_number"], labels["io.kontena.container.type"]) == ("1", "container")


def mounts_are_complete(shown: dict[str, Any], bound: Path) -> None:
    mounts = {entry["Destination"]: entry for entry in shown["Mounts"]}
    assert set(mounts) == {"/anonymous", "/host", "/named", "/lent"}
    assert (mounts["/host"]["Source"], mounts["/host"]["RW"]) == (str(bound), False)
    assert mounts["/named"]["Name"] == "whole.kept-1"
    assert shown["HostConfig"]["VolumesFrom"] == ["lender-1"]
