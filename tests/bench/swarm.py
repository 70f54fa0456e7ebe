"""Docker Swarm's manager on an engine of its own, and the bare API of that engine."""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.bench.cpu import family
from tests.bench.ours import COMMAND, ENV, IMAGE
from tests.bench.wrk import Request
from tests.support.engine import Engine
from tests.support.ports import free_port


class Swarm:
    """One manager, which is its only worker as well."""

    def __init__(self, engine: Engine, port: int) -> None:
        self.engine = engine
        self._url = f"http://127.0.0.1:{port}"
        loopback = "127.0.0.1"
        body = {"ListenAddr": f"{loopback}:{free_port()}", "AdvertiseAddr": loopback, "DataPathAddr": loopback}
        engine.request("POST", "/swarm/init", body)

    def get(self, path: str) -> Request:
        """A read."""
        return Request(f"{self._url}{path}")

    def rows(self, listed: int) -> dict[str, Request]:
        """What can be compared with a row of ours. Its list has one size only, so that is read before more is made."""
        for number in range(listed):
            self._create(f"s-{number}", 0)
        self.engine.request("POST", "/secrets/create", {"Name": "KEY", "Data": "dmFsdWU="})
        service = self.engine.request("GET", "/services?filters=" + '{"name":["s-0"]}')[0]["ID"]
        secret = self.engine.request("GET", "/secrets")[0]["ID"]
        node = self.engine.request("GET", "/nodes")[0]["ID"]
        new = json.dumps(_service("n-%N", 0))
        return {
            "get a service": self.get(f"/services/{service}"),
            "get a node": self.get(f"/nodes/{node}"),
            "get a secret": self.get(f"/secrets/{secret}"),
            f"list {listed} services": self.get("/services"),
            "create a service": Request(f"{self._url}/services/create", "", "POST", new),
            "create a secret": Request(
                f"{self._url}/secrets/create", "", "POST", json.dumps({"Name": "S_%N", "Data": "dmFsdWU="})
            ),
        }

    def deploy(self, name: str, instances: int) -> None:
        """Make a service that is to run; returns when that was accepted."""
        self._create(name, instances)

    def create(self, name: str, instances: int, command: Sequence[str]) -> None:
        """The same with a command of its own."""
        self.engine.request("POST", "/services/create", _service(name, instances, command))

    def update(self, name: str, instances: int, command: Sequence[str], how: Mapping[str, object]) -> None:
        """Give it another command; `how` is Swarm's UpdateConfig."""
        version = self.engine.request("GET", f"/services/{name}")["Version"]["Index"]
        body = {**_service(name, instances, command), "UpdateConfig": how}
        self.engine.request("POST", f"/services/{name}/update?version={version}", body)

    def remove(self, name: str) -> None:
        """Remove a service with its containers."""
        self.engine.request("DELETE", f"/services/{name}")

    def processes(self) -> dict[str, list[int]]:
        """dockerd, with the containerd that it started."""
        return {"dockerd": family(_daemon(self.engine))}

    def _create(self, name: str, instances: int) -> None:
        self.engine.request("POST", "/services/create", _service(name, instances))


class Bare:
    """Containers made and started directly, side by side: on the engine's default bridge, or on a `network` where it
    answers names, which costs it a resolver and its rules for each of them."""

    def __init__(self, engine: Engine, network: str = "") -> None:
        self._engine = engine
        self._host = {"NetworkMode": network} if network else {}
        if network:
            engine.request("POST", "/networks/create", {"Name": network, "CheckDuplicate": True})

    def deploy(self, name: str, instances: int) -> None:
        """Create and start them."""
        with ThreadPoolExecutor(instances) as pool:
            list(pool.map(self._run, [f"{name}-{number}" for number in range(instances)]))

    def remove(self, name: str) -> None:
        """All containers of the engine, as it has no others then."""
        del name
        self._engine.remove_containers()

    def _run(self, name: str) -> None:
        body = {"Image": IMAGE, "Cmd": COMMAND, "Env": ENV, "HostConfig": self._host}
        self._engine.request("POST", f"/containers/create?name={name}", body)
        self._engine.request("POST", f"/containers/{name}/start")


@contextmanager
def swarm(folder: Path) -> Iterator[Swarm]:
    """A manager on a new engine, until the block ends."""
    engine, port = Engine(folder), free_port()
    # For wrk, which does not speak to unix sockets.
    engine.flags = [f"--host=tcp://127.0.0.1:{port}", "--tls=false"]
    with engine:
        engine.import_busybox(IMAGE)
        yield Swarm(engine, port)
        engine.request("POST", "/swarm/leave?force=1")


def _service(name: str, instances: int, command: Sequence[str] = COMMAND) -> dict[str, object]:
    container = {"Image": IMAGE, "Command": command, "Env": ENV}
    task = {"ContainerSpec": container, "RestartPolicy": {"Condition": "any"}}
    return {"Name": name, "TaskTemplate": task, "Mode": {"Replicated": {"Replicas": instances}}}


def _daemon(engine: Engine) -> int:
    socket = str(engine.socket)
    [pid] = [
        process.pid
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "dockerd" and f"--host=unix://{socket}" in (process.info["cmdline"] or [])
    ]
    return pid
