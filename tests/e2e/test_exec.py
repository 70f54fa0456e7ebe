"""Exec sessions as the CLI opens them: WebSocket through the gateway to programs in real containers."""

import hashlib
import json
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support.suite import Api, Suite, soon


@pytest.fixture(scope="module")
def box(api: Api, image: str) -> Iterator[str]:
    """Path of the container of a running service."""
    body = {
        "name": "execbox",
        "image": image,
        "stateful": False,
        "cmd": ["sleep", "100000"],
        "stop_grace_period": "0s",
    }
    service = api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"]
    api.deploy(service)

    def mirrored() -> str | None:
        # What `service exec` asks for first.
        found = api.call("GET", f"/v1/services/{service}/containers")["containers"]
        return found[0]["id"] if found and found[0]["status"] == "running" else None

    yield soon(mirrored, message="the container is in the mirror")
    api.call("DELETE", f"/v1/services/{service}")


def opened(api: Api, container: str, query: str = "", token: str | None = None) -> ClientConnection:
    sent = {"Authorization": f"Bearer {api.token if token is None else token}"} if token != "" else {}
    url = f"{api.url.replace('http', 'ws', 1)}/v1/containers/{container}/exec{query}"
    return connect(url, additional_headers=sent, compression=None, open_timeout=60, ping_timeout=60)


def say(client: ClientConnection, **frame: Any) -> None:
    client.send(json.dumps(frame))


def heard(client: ClientConnection, until: str = "") -> dict[str, Any]:
    """Output of each stream and the last frame; stops early when stdout ends with `until`."""
    found: dict[str, Any] = {"stdout": "", "stderr": ""}
    try:
        while not (until and found["stdout"].endswith(until)):
            frame = json.loads(client.recv(timeout=60))
            if "stream" in frame:
                found[frame["stream"]] += frame["chunk"]
            else:
                found.update(frame)
    except ConnectionClosed:
        pass
    return found


def run(api: Api, container: str, *cmd: str, query: str = "") -> dict[str, Any]:
    with opened(api, container, query) as client:
        say(client, cmd=cmd)
        return heard(client)


def processes(mark: str) -> list[psutil.Process]:
    """Programs with `mark` as their last word, in whatever container: the test's engine runs on this machine."""
    return [p for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [""])[-1] == mark]


def test_output_of_both_streams_and_the_exit_code(api: Api, box: str) -> None:
    listed = run(api, box, "ls", "/bin/busybox", "/none")
    assert listed["stdout"] == "/bin/busybox\n"
    assert "/none" in listed["stderr"]
    assert listed["exit"] == 1
    assert run(api, box, "echo", "two  words", "$HOME") == {"stdout": "two  words $HOME\n", "stderr": "", "exit": 0}


def test_a_shell_and_its_exit_code(api: Api, box: str) -> None:
    assert run(api, box, "echo", "$((3+4));", "exit", "7", query="?shell=true") == {
        "stdout": "7\n",
        "stderr": "",
        "exit": 7,
    }


def test_input_until_its_end(api: Api, box: str) -> None:
    with opened(api, box, "?interactive=true") as client:
        say(client, cmd=["cat"])
        say(client, stdin="h\u00e9llo\n")
        assert heard(client, until="h\u00e9llo\n")["stdout"] == "h\u00e9llo\n"
        say(client, stdin="bye")
        say(client, stdin=None)
        assert heard(client) == {"stdout": "bye", "stderr": "", "exit": 0}


def test_a_long_input_arrives_whole(api: Api, box: str) -> None:
    """A file piped in line by line, faster than the program reads."""
    lines = [f"{number:0100}\n" for number in range(10_000)]
    with opened(api, box, "?interactive=true") as client:
        say(client, cmd=["sh", "-c", "sleep 1; sha256sum; echo end"])
        for line in lines:
            say(client, stdin=line)
        say(client, stdin=None)
        found = heard(client)
    assert found["exit"] == 0, found
    assert found["stdout"].split()[0] == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_any_bytes_are_told_as_text(api: Api, box: str) -> None:
    found = run(api, box, "printf", r"\377a\342\202\254\000b")
    assert (found["stdout"], found["exit"]) == ("\ufffda\u20ac\0b", 0)
    large = run(api, box, "head", "-c", "3000000", "/dev/zero")
    assert (len(large["stdout"]), large["exit"]) == (3_000_000, 0)


def test_a_terminal_with_a_size(api: Api, box: str) -> None:
    with opened(api, box, "?interactive=true&tty=true") as client:
        say(client, cmd=["sh"])
        say(client, tty_size={"width": 91, "height": 27})
        say(client, stdin="stty size; tty; exit 5\n")
        found = heard(client)
    assert "27 91" in found["stdout"]
    assert "/dev/pts/" in found["stdout"]
    assert found["exit"] == 5


def test_a_program_that_cannot_start_is_an_error(api: Api, box: str) -> None:
    found = run(api, box, "boom")
    assert "boom" in str(found) or found.get("exit") in {126, 127}, found


def test_refusals_come_before_the_upgrade(api: Api, box: str) -> None:
    for container, token, status in (
        (box, "", 401),
        (box, "wrong", 401),
        (f"{api.grid}/local-node/none", None, 404),
        (f"{api.grid}/none/execbox-1", None, 404),
        (f"none/{box.partition('/')[2]}", None, 404),
    ):
        with pytest.raises(InvalidStatus) as refused, opened(api, container, token=token):
            pass
        assert refused.value.response.status_code == status
        assert json.loads(refused.value.response.body)["error"]
    plain = api.request("GET", f"/v1/containers/{box}/exec")
    assert (plain.status_code, plain.headers["content-type"]) == (426, "application/json")


@pytest.mark.parametrize("query", ["", "?interactive=true&tty=true"])
def test_a_client_that_drops_the_connection_ends_the_program(api: Api, box: str, query: str) -> None:
    mark = f"9870{len(query)}"
    with opened(api, box, query) as client:
        say(client, cmd=["sleep", mark])
        soon(lambda: processes(mark), message="the program runs")
        client.socket.shutdown(socket.SHUT_RDWR)
    soon(lambda: not processes(mark), message="the program was ended")


def test_a_killed_bridge_ends_its_sessions_and_comes_back(api: Api, box: str, suite: Suite) -> None:
    def works() -> bool:
        try:
            return bool(run(api, box, "true").get("exit") == 0)
        except (InvalidStatus, OSError):
            return False

    with opened(api, box) as client:
        say(client, cmd=["sleep", "98800"])
        soon(lambda: processes("98800"), message="the program runs")
        [pid] = suite.pids("exec_bridge")
        os.kill(pid, signal.SIGKILL)
        assert "exit" not in heard(client)
    soon(lambda: not processes("98800"), message="the program was ended")
    soon(works, message="a new bridge serves")


def test_sessions_are_counted(api: Api, box: str, suite: Suite) -> None:
    assert run(api, box, "true")["exit"] == 0
    # The client hears of the end first.
    soon(lambda: 'exec_bridge_sessions_ended_total{how="exit"}' in suite.metrics(16))
    soon(lambda: "exec_bridge_sessions 0.0" in suite.metrics(16))
