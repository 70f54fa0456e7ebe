"""The network of a grid on a real engine (MH-50): names, addresses, published ports, ports that open late or never."""

from pathlib import Path

import httpx
import pytest

from agent.machine import Machine
from agent.runtime.docker import DockerRuntime
from tests.integration.agent.agent_node import SERVE, SLEEP, assignment, redeployed
from tests.integration.agent.agent_process import running_agent, settings
from tests.integration.agent.stand_in_master import Master
from tests.support.engine import Engine
from tests.support.eventually import eventually
from tests.support.ports import free_port

pytestmark = pytest.mark.docker


async def answers(master: Master, number: int, *names: str) -> dict[str, list[str]]:
    """What a container on the network reads from each address of each name."""
    # A static busybox cannot resolve names outside nslookup.
    addresses = "nslookup $name | awk '/^Address: [0-9.]+$/ {print $2}' | sort -u"
    read = r"printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 20 $address 8080 | tail -n 1 | grep . || echo no answer"
    script = f"for name in {' '.join(names)}; do for address in $({addresses}); do echo $name $({read}); done; done"
    script += "; echo end; sleep 1000"
    client = assignment(
        number, service="client", pod={"cmd": ["sh", "-c", script], "hostname": f"client-{number}", "env": []}
    )
    master.assign(client)

    async def ended() -> bool:
        texts = master.texts(client.pod.container_name)
        assert "end" in texts, texts
        return True

    await eventually(ended)
    master.withdraw(client.instance_id)
    told = [text.split(" ", 1) for text in master.texts(client.pod.container_name) if text != "end"]
    return {name: sorted(host for of, host in told if of == name) for name in names}


@pytest.mark.usefixtures("node")
async def test_containers_find_each_other_by_all_their_names(master: Master, engine: Engine) -> None:
    pod = {
        "cmd": SERVE,
        "domainname": "shop.main.kontena.local",
        "labels": {"io.kontena.service.name": "web", "io.kontena.stack.name": "shop"},
        "exposed": True,
        "wait_for_port": 8080,
    }
    first, second = assignment(1, pod=pod), assignment(2, pod=pod)
    master.assign(first, second)
    await master.running(first)
    await master.running(second)
    both = ["web-1", "web-2"]
    wanted = {
        "web-1.shop.main.kontena.local": ["web-1"],
        "web.shop.main.kontena.local": both,
        "shop.main.kontena.local": both,
        "shop-2.main.kontena.local": ["web-2"],
    }
    assert await answers(master, 1, *wanted) == wanted
    stopped = redeployed(second, desired_state="stopped")
    master.assign(stopped)
    await master.status(stopped, lambda status: status.state == "stopped")
    of_stopped = "web.shop.main.kontena.local"
    assert await answers(master, 2, of_stopped) == {of_stopped: ["web-1"]}


@pytest.mark.usefixtures("node")
async def test_a_service_of_the_default_stack_is_found_by_its_short_names(master: Master, engine: Engine) -> None:
    labels = {"io.kontena.service.name": "web", "io.kontena.stack.name": "null"}
    wanted = assignment(pod={"cmd": SERVE, "labels": labels, "wait_for_port": 8080})
    master.assign(wanted)
    await master.running(wanted)
    names = ("web", "web.kontena.local", "web-1.kontena.local", "web.main.kontena.local", "web-1.main.kontena.local")
    assert await answers(master, 1, *names) == {name: ["web-1"] for name in names}
    assert list(engine.inspect("web-1")["NetworkSettings"]["Networks"]) == ["kontena-main"]


@pytest.mark.usefixtures("node")
async def test_ports_are_published_on_loopback_and_a_lost_network_is_made_again(master: Master, engine: Engine) -> None:
    port = free_port()
    pod = {
        "cmd": SERVE,
        "ports": [{"ip": "127.0.0.1", "node_port": port, "container_port": 8080}],
        "wait_for_port": 8080,
    }
    wanted = assignment(pod=pod)
    master.assign(wanted)
    await master.running(wanted)
    async with httpx.AsyncClient() as client:
        assert "web-1" in (await client.get(f"http://127.0.0.1:{port}/")).text
    stopped = redeployed(wanted, desired_state="stopped")
    master.assign(stopped)
    await master.status(stopped, lambda status: status.state == "stopped")
    engine.request("DELETE", "/networks/kontena-main")
    again = redeployed(stopped, desired_state="running")
    master.assign(again)
    await master.running(again)
    async with httpx.AsyncClient() as client:
        assert "web-1" in (await client.get(f"http://127.0.0.1:{port}/")).text


@pytest.mark.usefixtures("node")
async def test_the_network_of_another_container_and_of_the_host(master: Master, engine: Engine) -> None:
    server = assignment(1, pod={"cmd": SERVE, "wait_for_port": 8080})
    master.assign(server)
    await master.running(server)
    # It opens no port of its own: the one it waits for is that of the container whose network it shares.
    beside = assignment(1, service="side", pod={"net": "container:web-%s", "wait_for_port": 8080})
    on_host = assignment(1, service="host", pod={"net": "host"})
    master.assign(beside, on_host)
    await master.running(beside)
    await master.running(on_host)
    assert engine.inspect("host-1")["HostConfig"]["NetworkMode"] == "host"
    assert engine.inspect("side-1")["HostConfig"]["NetworkMode"] == f"container:{engine.inspect('web-1')['Id']}"


async def test_a_port_that_never_opens_is_an_error_and_the_container_stays(
    master: Master, engine: Engine, tmp_path: Path
) -> None:
    wanted = assignment(pod={"cmd": SLEEP, "wait_for_port": 81})
    master.assigned[wanted.instance_id] = wanted
    chosen = settings(master.uri, tmp_path, runtime="docker", docker_host=engine.host, port_wait_seconds=0.5)
    async with running_agent(chosen):
        status = await master.status(wanted, lambda status: bool(status.error))
    assert "port 81 did not accept connections" in status.error
    assert status.state == "running"


@pytest.mark.usefixtures("node")
async def test_an_instance_counts_as_running_once_its_port_opens(master: Master, engine: Engine) -> None:
    wanted = assignment(pod={"cmd": ["sh", "-c", "sleep 0.7; exec httpd -f -p 8080"], "wait_for_port": 8080})
    master.assign(wanted)
    status = await master.running(wanted)
    opened = engine.inspect("web-1")
    assert status.container_id == opened["Id"]
    assert [item.error for item in master.history if item.instance_id == wanted.instance_id] == [""]


@pytest.mark.usefixtures("node")
async def test_the_traffic_of_the_grids_network_is_told_apart(master: Master, engine: Engine) -> None:
    wanted = assignment()
    master.assign(wanted)
    await master.running(wanted)
    runtime = DockerRuntime(engine.host)
    sample = await Machine(runtime, "127.0.0.1:1").sample()
    await runtime.close()
    network = engine.request("GET", "/networks/kontena-main")
    bridge = f"br-{network['Id'][:12]}"
    assert bridge in sample.network.internal.interfaces
    assert bridge not in sample.network.external.interfaces
