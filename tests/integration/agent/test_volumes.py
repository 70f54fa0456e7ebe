"""Volumes and other settings of a pod on a real engine."""

from pathlib import Path

import pytest

from tests.integration.agent.agent_node import assignment
from tests.integration.agent.stand_in_master import NODE_ID, Master
from tests.support.engine import Engine
from tests.support.eventually import eventually

pytestmark = pytest.mark.docker


async def says(master: Master, container: str, text: str) -> None:
    async def found() -> bool:
        assert text in master.texts(container), master.texts(container)
        return True

    await eventually(found)


@pytest.mark.usefixtures("node")
async def test_a_named_volume_is_made_with_its_driver_and_outlives_the_instance(
    master: Master, engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "given").write_text("bound")
    volumes = [
        {
            "name": "main.files",
            "path": "/data",
            "driver": "local",
            "driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"},
        },
        {"bind_mount": str(tmp_path), "path": "/host", "flags": "ro"},
    ]
    script = "echo $(cat /host/given) $(touch /host/x 2>/dev/null || echo readonly); exec sleep 1000"
    wanted = assignment(pod={"volumes": volumes, "cmd": ["sh", "-c", script], "stop_grace_period": 0})
    master.assign(wanted)
    await master.running(wanted)
    await says(master, "web-1", "bound readonly")
    shown = engine.request("GET", "/volumes/main.files")
    assert (shown["Driver"], shown["Options"]["type"]) == ("local", "tmpfs")
    assert shown["Labels"] == {
        "io.kontena.volume.name": "main.files",
        "io.kontena.grid.name": "main",
        "io.kontena.node.id": NODE_ID,
    }
    master.withdraw(wanted.instance_id)

    async def gone() -> bool:
        return engine.containers() == []

    await eventually(gone)
    assert engine.request("GET", "/volumes/main.files")["Name"] == "main.files"
    engine.request("DELETE", "/volumes/main.files")


@pytest.mark.usefixtures("node")
async def test_a_volume_with_another_driver_is_an_error_and_is_left_alone(master: Master, engine: Engine) -> None:
    engine.request("POST", "/volumes/create", {"Name": "main.taken"})
    volumes = [{"name": "main.taken", "path": "/data", "driver": "nfs"}]
    wanted = assignment(pod={"volumes": volumes})
    master.assign(wanted)
    status = await master.status(wanted, lambda status: bool(status.error))
    assert "volume main.taken exists on this node with the driver local, not nfs" in status.error
    engine.request("DELETE", "/volumes/main.taken")


@pytest.mark.usefixtures("node")
async def test_volumes_from_an_instance_of_the_same_number_in_the_same_stack(master: Master, engine: Engine) -> None:
    stack = {"labels": {"io.kontena.stack.name": "shop"}}
    owners = []
    for number in (1, 2):
        script = f"echo of {number} > /data/x; exec sleep 1000"
        pod = {
            **stack,
            "container_name": f"shop.db-{number}",
            "volumes": [{"path": "/data"}],
            "cmd": ["sh", "-c", script],
            "stop_grace_period": 0,
        }
        owners.append(assignment(number, service="db", pod=pod))
    master.assign(*owners)
    for owner in owners:
        await master.running(owner)
    # A service that runs has not written yet.
    script = "until [ -s /data/x ]; do sleep 0.1; done; cat /data/x; "
    script += "touch /data/y 2>/dev/null || echo readonly; exec sleep 1000"
    pod = {**stack, "volumes_from": ["db-%s:ro"], "cmd": ["sh", "-c", script], "stop_grace_period": 0}
    reader = assignment(2, service="reader", pod=pod)
    master.assign(reader)
    await master.running(reader)
    await says(master, "reader-2", "readonly")
    assert master.texts("reader-2") == ["of 2", "readonly"]


@pytest.mark.usefixtures("node")
async def test_the_engine_gets_every_setting_of_the_pod(master: Master, engine: Engine) -> None:
    pod = {
        "hostname": "web-1",
        "domainname": "shop.main.kontena.local",
        "user": "nobody",
        "memory": 64e6,
        "memory_swap": 128e6,
        "shm_size": 8e6,
        "cpus": 0.5,
        "cpu_shares": 256,
        "cap_add": ["NET_ADMIN"],
        "cap_drop": ["MKNOD"],
        "devices": ["/dev/null:/dev/nothing:rw"],
        "pid": "host",
        "read_only": True,
        # The driver of the engine.
        "log_opts": {"max-size": "1m"},
        "ulimits": [{"name": "nofile", "soft": 64, "hard": 128}],
        "labels": {"com.example.team": "blue"},
        "tmpfs": ["/scratch:size=1m"],
        "sysctls": {"net.core.somaxconn": "77"},
        "init": True,
        "extra_hosts": ["db.test:10.0.0.1"],
        "dns_servers": ["10.0.0.53"],
        "working_dir": "/scratch",
        "group_add": ["4711"],
        "stop_signal": "SIGINT",
        "stop_grace_period": 3,
    }
    script = """id -un; id -G; ulimit -Sn; ulimit -Hn; pwd; cat /proc/sys/net/core/somaxconn; grep -c db.test /etc/hosts
        grep -c " /scratch tmpfs " /proc/mounts; touch /x || echo readonly; exec sleep 1000"""
    wanted = assignment(pod={**pod, "cmd": ["sh", "-c", script, "", " "]})
    master.assign(wanted)
    await master.running(wanted)
    await says(master, "web-1", "readonly")
    shown = engine.inspect("web-1")
    host, config = shown["HostConfig"], shown["Config"]
    assert (config["Hostname"], config["Domainname"]) == ("web-1", "shop.main.kontena.local")
    assert host["DnsSearch"] == ["shop.main.kontena.local", "main.kontena.local"]
    assert (config["User"], config["StopSignal"], config["StopTimeout"]) == ("nobody", "SIGINT", 3)
    assert (host["Memory"], host["MemorySwap"], host["ShmSize"]) == (64_000_000, 128_000_000, 8_000_000)
    assert (host["CpuPeriod"], host["CpuQuota"], host["CpuShares"]) == (100_000, 50_000, 256)
    assert ([cap.removeprefix("CAP_") for cap in host["CapAdd"]], host["PidMode"]) == (["NET_ADMIN"], "host")
    assert host["Devices"][0]["PathInContainer"] == "/dev/nothing"
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m"}}
    assert config["Cmd"][-2:] == ["", " "]
    assert (config["Labels"]["com.example.team"], host["Init"], host["Dns"]) == ("blue", True, ["10.0.0.53"])
    user, groups, *found = master.texts("web-1", "stdout")[:8]
    assert (user, "4711" in groups.split()) == ("nobody", True)
    assert found == ["64", "128", "/scratch", "77", "1", "1"]


@pytest.mark.usefixtures("node")
async def test_a_privileged_container_is_made_so(master: Master, engine: Engine) -> None:
    wanted = assignment(pod={"privileged": True})
    master.assign(wanted)
    # Whether it may start is up to the machine that the tests run on.
    status = await master.status(wanted, lambda status: bool(status.container_id))
    assert engine.inspect(status.container_id)["HostConfig"]["Privileged"] is True
