"""A private Docker Engine for tests: own data, own socket, own bridge, no firewall rules. Several run side by side."""

import contextlib
import http.client
import io
import ipaddress
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import psutil
import pytest

from tests.support.ports import claimed

_BUSYBOX = Path("/bin/busybox")
_START_SECONDS = 120.0
_STOP_SECONDS = 60.0


class EngineUnavailable(RuntimeError):
    """No engine can be started on this machine, and why."""


class EngineError(RuntimeError):
    """The engine answered with an error."""


class Engine:
    """`with Engine(folder) as engine:` starts dockerd; at the end it, its containers and its bridge are gone. Where no
    engine can be started, the test is skipped, or fails when KONTENA_REQUIRE_DOCKER is set.

    `engine.host` is a DOCKER_HOST value, `engine.socket` the path. All engines of a machine report the same engine
    id, so agents of several engines need a KONTENA_NODE_ID each. `folder` must have a short path: sockets are in it.
    """

    def __init__(self, folder: Path, namespace: str = "") -> None:
        """In a network namespace, which has a firewall to itself, the engine makes its rules as it usually does."""
        self._folder = folder
        self._namespace = namespace
        self._bridge = f"kt{random.randrange(16**6):06x}"
        self._network = _free_network()
        self._process: subprocess.Popen[bytes] | None = None
        # More arguments for dockerd, each time it starts.
        self.flags: Sequence[str] = ()
        self.socket = folder / "docker.sock"
        self.host = f"unix://{self.socket}"

    def __enter__(self) -> "Engine":
        try:
            _require_tools()
            if not self._namespace:
                self._add_bridge()
            self.launch()
            if not self._namespace:
                self._firewall("-I")
        except EngineUnavailable as error:
            self.close()
            if os.environ.get("KONTENA_REQUIRE_DOCKER"):
                pytest.fail(f"Docker tests may not be skipped here: {error}")
            pytest.skip(str(error))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop and remove everything."""
        with contextlib.suppress(OSError, EngineError):
            self.remove_containers()
            # The bridges of its networks would outlive it.
            self.request("POST", "/networks/prune")
        self.halt()
        if not self._namespace:
            self._firewall("-D")
            subprocess.run(["ip", "link", "del", self._bridge], capture_output=True, check=False)
        # The namespace of the machine itself, once a container has used it; the data of an engine that had been told to
        # let containers live.
        for mount in (*self._folder.glob("exec/netns/*"), self._folder / "data"):
            while subprocess.run(["umount", mount], capture_output=True, check=False).returncode == 0:
                pass
        for name in ("data", "exec"):
            shutil.rmtree(self._folder / name, ignore_errors=True)

    def launch(self, *flags: str) -> None:
        """Start dockerd, again after `halt` with the data it had. Returns when it answers."""
        folder = self._folder
        # Not `ip netns exec`, which hides the control groups.
        inside = ["nsenter", f"--net=/var/run/netns/{self._namespace}"] if self._namespace else []
        command = [
            *inside,
            "dockerd",
            f"--data-root={folder}/data",
            f"--exec-root={folder}/exec",
            f"--pidfile={folder}/docker.pid",
            f"--host={self.host}",
            # Two engines that make a network in the same moment would both take the first free one of the usual pools,
            # and one of the networks could not be reached. Those are only for machines with a route to all of 10/8.
            f"--default-address-pool=base={self._network},size=24",
            "--default-address-pool=base=172.16.0.0/12,size=16",
            f"--containerd-namespace={self._bridge}",
            f"--containerd-plugins-namespace={self._bridge}-plugins",
            "--ip6tables=false",
            "--shutdown-timeout=1",
            *(["--bridge=none"] if self._namespace else self._without_rules()),
            *self.flags,
            *flags,
        ]
        with (folder / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self._wait_until_up()

    def _without_rules(self) -> list[str]:
        """Ports are published by its proxy, so no rule of one engine can be in the way of another one."""
        return [f"--bridge={self._bridge}", "--iptables=false", "--ip-masq=false"]

    def halt(self) -> None:
        """Stop dockerd and with it all containers; they stay known to it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def hung(self) -> Iterator[None]:
        """For the block, the engine takes connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def import_busybox(self, tag: str, marker: str = "", programs: Sequence[str] = ()) -> str:
        """An image `tag` (name:version) with busybox and all its commands; returns its id. Another `marker` makes
        another image; it stands in /etc/marker. `programs` are paths of programs of this machine to have as well."""
        name, _, version = tag.rpartition(":")
        path = f"/images/create?fromSrc=-&repo={name}&tag={version}"
        return str(self.request("POST", path, _busybox_archive(marker, programs), "application/x-tar")["status"])

    def import_program(self, tag: str, program: Path) -> None:
        """An image `tag` in which there is one file only: a program without libraries, as `/program`."""
        name, _, version = tag.rpartition(":")
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            _add_file(archive, program.name, program.read_bytes(), 0o755)
        path = f"/images/create?fromSrc=-&repo={name}&tag={version}"
        self.request("POST", path, buffer.getvalue(), "application/x-tar")

    @property
    def data(self) -> Path:
        """Everything that it keeps on the disk."""
        return self._folder / "data"

    def image_id(self, tag: str) -> str:
        """Id of an image."""
        return str(self.request("GET", f"/images/{tag}/json")["Id"])

    def containers(self) -> list[dict[str, Any]]:
        """All containers, as `docker ps -a` lists them."""
        found: list[dict[str, Any]] = self.request("GET", "/containers/json?all=1")
        return found

    def inspect(self, name_or_id: str) -> dict[str, Any]:
        """A container as `docker inspect` shows it."""
        found: dict[str, Any] = self.request("GET", f"/containers/{name_or_id}/json")
        return found

    def tail(self, name_or_id: str, lines: int) -> bytes:
        """The last lines of a container's log, as the engine frames them."""
        with contextlib.closing(_UnixConnection(self.socket)) as connection:
            connection.request("GET", f"/containers/{name_or_id}/logs?stdout=1&stderr=1&tail={lines}")
            return connection.getresponse().read()

    def events(self, action: str, since: float) -> list[dict[str, Any]]:
        """What happened to containers from a time until now."""
        filters = quote(json.dumps({"type": ["container"], "event": [action]}))
        with contextlib.closing(_UnixConnection(self.socket)) as connection:
            connection.request("GET", f"/events?since={since:.9f}&until={time.time():.9f}&filters={filters}")
            lines = connection.getresponse().read().decode().splitlines()
        return [json.loads(line) for line in lines if line.strip()]

    def remove_containers(self) -> None:
        """Remove all containers."""
        for container in self.containers():
            remove = partial(self.request, "DELETE", f"/containers/{container['Id']}?force=1&v=1")
            try:
                remove()
            except EngineError as error:
                # An engine that ends at the wrong moment leaves a file system mounted, which the next one can never
                # remove. It would be in the way of all tests that follow.
                if busy := re.search(r"unlinkat (\S+): device or resource busy", str(error)):
                    subprocess.run(["umount", "--lazy", busy[1]], check=False)
                with contextlib.suppress(EngineError):
                    remove()

    def volumes(self) -> list[str]:
        """Names of all volumes."""
        return [volume["Name"] for volume in self.request("GET", "/volumes")["Volumes"] or ()]

    def remove_volumes(self) -> None:
        """Remove all volumes that no container uses."""
        for name in self.volumes():
            with contextlib.suppress(EngineError):
                self.request("DELETE", f"/volumes/{name}")

    def run(self, *command: str) -> str:
        """What `docker <command>` prints, run as an operator of this engine would."""
        done = subprocess.run(["docker", "-H", self.host, *command], capture_output=True, text=True, check=True)
        return done.stdout

    def request(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Any:
        """One call of the engine's API and its answer, of a stream of documents the last one."""
        return ask(self.socket, method, path, body, kind)

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.request("GET", "/version")
            except (OSError, http.client.HTTPException):
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    log = (self._folder / "dockerd.log").read_text(errors="replace")
                    raise EngineUnavailable(f"dockerd does not start: {log[-1500:]}") from None
                time.sleep(0.05)
            else:
                return

    def _firewall(self, change: str) -> None:
        """Let containers of one bridge reach each other, also where another engine of this machine has made dropping
        the default. One rule per engine, so that each can take away its own."""
        rule = ["FORWARD", "-m", "physdev", "--physdev-is-bridged", "-m", "comment", "--comment", self._bridge]
        with contextlib.suppress(OSError):
            subprocess.run(["iptables", "-w", change, *rule, "-j", "ACCEPT"], capture_output=True, check=False)

    def _add_bridge(self) -> None:
        for command in (
            ["link", "add", "name", self._bridge, "type", "bridge"],
            ["addr", "add", f"{self._network[1]}/24", "dev", self._bridge],
            ["link", "set", self._bridge, "up"],
        ):
            done = subprocess.run(["ip", *command], capture_output=True, text=True, check=False)
            if done.returncode:
                raise EngineUnavailable(f"the bridge cannot be made: {done.stderr.strip()}")


def ask(socket: Path, method: str, path: str, body: object = None, kind: str = "application/json") -> Any:
    """One call of an engine's API and its answer, of a stream of documents the last one."""
    with contextlib.closing(_UnixConnection(socket)) as connection:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path, data, {"Content-Type": kind})
        response = connection.getresponse()
        text = response.read().decode()
    if response.status >= 400:
        raise EngineError(f"{method} {path}: {response.status} {text[:300]}")
    return json.loads(text.strip().splitlines()[-1]) if text.strip() else None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _require_tools() -> None:
    if os.geteuid() != 0:
        raise EngineUnavailable("starting an engine needs root")
    if shutil.which("dockerd") is None:
        raise EngineUnavailable("dockerd is not installed (package docker.io)")
    if not _BUSYBOX.exists():
        raise EngineUnavailable("/bin/busybox is not installed (package busybox-static)")


def _free_network() -> ipaddress.IPv4Network:
    addresses = [address.address for found in psutil.net_if_addrs().values() for address in found]
    while True:
        network = ipaddress.IPv4Network(f"10.{random.randrange(100, 250)}.0.0/16")
        # Claimed, as engines of several workers start at the same time.
        if not any(_inside(address, network) for address in addresses) and claimed(f"network-{network}"):
            return network


def _inside(address: str, network: ipaddress.IPv4Network) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]) in network
    except ValueError:
        return False


def _busybox_archive(marker: str, programs: Sequence[str]) -> bytes:
    applets = subprocess.run([_BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in ("bin", "etc", "tmp", "root", "www"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        _add_file(archive, "bin/busybox", _BUSYBOX.read_bytes(), 0o755)
        _add_file(archive, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n", 0o644)
        _add_file(archive, "etc/marker", marker.encode(), 0o644)
        for applet in applets:
            if applet != "busybox":
                entry = tarfile.TarInfo(f"bin/{applet}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(entry)
        for file in sorted({file for program in programs for file in (program, *_libraries(program))}):
            _add_file(archive, file.lstrip("/"), Path(file).read_bytes(), 0o755)
    return buffer.getvalue()


def _libraries(program: str) -> list[str]:
    """The loader and the shared libraries of a program, by path."""
    text = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return re.findall(r"(/\S+) \(0x", text)


def _add_file(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
