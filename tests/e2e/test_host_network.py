"""Loopback keeps no container out that is in the network of its node: what the suite has there asks for a token, and
the rest are unix sockets for their owner."""

from typing import Any

import psutil

from tests.support.suite import PROCESSES, Api, Suite, soon


def listeners(suite: Suite) -> dict[int, str]:
    """The TCP ports of the suite, by port, with the command that has it."""
    found = {}
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            # Docker has its sockets elsewhere.
            if str(suite.folder) in command and "docker" not in command:
                for one in process.net_connections("tcp"):
                    if one.status == psutil.CONN_LISTEN:
                        found[one.laddr.port] = command
        except psutil.Error:
            continue
    return found


def test_a_container_in_the_network_of_the_node_reads_no_metrics_and_no_admin_interface(
    suite: Suite, api: Api, image: str
) -> None:
    ports = listeners(suite)
    assert {suite.port_base + offset for offset in range(11, 18)} <= set(ports), "metrics are among them"
    assert not [command for command in ports.values() if "postgres" in command.split()[0]]
    body = {"image": image, "stateful": False, "net": "host", "cmd": ["sleep", "100000"], "stop_grace_period": "0s"}
    service = api.call("POST", f"/v1/grids/{api.grid}/services", {**body, "name": "inside"}, status=201)["id"]
    try:
        api.deploy(service)
        container = soon(lambda: api.call("GET", f"/v1/services/{service}/containers")["containers"][0]["id"])

        def ask(token: str) -> str:
            """What a container gets from all ports together."""
            shown = f"Authorization: Bearer {token}" if token else "Accept: */*"
            head = "\\r\\n".join(("GET %s HTTP/1.1", "Host: x", "Connection: close", shown, "", ""))
            get = f"printf '{head}' $path | nc -w 5 127.0.0.1 $port"
            paths = "/metrics /stats/prometheus /config_dump /clusters"
            loop = f"for port in {' '.join(map(str, ports))}; do for path in {paths}; do {get} & done; done; wait"
            answer: Any = api.call("POST", f"/v1/containers/{container}/exec", {"cmd": ["sh", "-c", loop]})
            return "".join(answer[0])

        for token in ("", "wrong"):
            answers = ask(token)
            assert " 401 " in answers
            assert "# HELP" not in answers
            assert "# TYPE" not in answers
        assert "# TYPE" in ask((suite.var / "metrics-token").read_text()), "it was at the right ports"
    finally:
        api.call("DELETE", f"/v1/services/{service}")


def test_sockets_without_a_port_are_for_their_owner(suite: Suite) -> None:
    assert (suite.var / "envoy-admin.sock").stat().st_mode & 0o077 == 0
    pids = {pid for name in PROCESSES for pid in suite.pids(name)}
    abstract = [
        path
        for pid in pids
        for path in (str(one.laddr) for one in psutil.Process(pid).net_connections("unix"))
        if path.startswith("@")
    ]
    assert abstract == [], "these belong to a network, and so to every container in it"
