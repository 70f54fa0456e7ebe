"""Machines on one machine: a network namespace each, joined by a bridge, from which the suite is reached."""

import contextlib
import random
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.support.ports import claimed
from tests.support.suite import soon

MASTER_PORT = 9292
# The last datagram of a capture.
CAPTURED = "nothing follows this datagram"


def shell(*words: str, check: bool = True, given: str = "") -> str:
    """What a program writes."""
    done = subprocess.run(words, capture_output=True, text=True, input=given, check=False)
    assert done.returncode == 0 or not check, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


class Forwarder:
    """Passes connections to `host`:MASTER_PORT on to a port of loopback. `cut` breaks them and takes no new ones: the
    master is away, though nothing happens to it."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, MASTER_PORT)
        self._port = port
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        # Whoever is let in before `cut` is cut off by it.
        self._lock = threading.Lock()

    def start(self) -> None:
        """Take connections."""
        self._listener = socket.create_server(self._address)
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Break all connections and take none."""
        with self._lock:
            listener, self._listener = self._listener, None
            if listener is not None:
                _shut(listener)
                listener.close()
            for each in self._open:
                _shut(each)

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                incoming, _ = listener.accept()
            except OSError:
                return
            try:
                outgoing = socket.create_connection(("127.0.0.1", self._port), timeout=5)
            except OSError:
                # The gateway is away for a moment: so is this connection, and the next one is tried again.
                incoming.close()
                continue
            outgoing.settimeout(None)
            self._join(listener, incoming, outgoing)

    def _join(self, listener: socket.socket, incoming: socket.socket, outgoing: socket.socket) -> None:
        with self._lock:
            if self._listener is not listener:
                incoming.close()
                outgoing.close()
                return
            self._open |= {incoming, outgoing}
        for pair in ((incoming, outgoing), (outgoing, incoming)):
            threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for each in (source, target):
            _shut(each)
        with self._lock:
            self._open.discard(source)
        source.close()


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class Underlay:
    """`with Underlay(port) as underlay:`; the suite's gateway on loopback `port` is reached at `underlay.master`."""

    def __init__(self, port: int) -> None:
        while not claimed(f"underlay-{(number := random.randrange(1, 250))}"):
            pass
        self.prefix = f"198.18.{number}"
        self.subnet = f"{self.prefix}.0/24"
        self.bridge = f"kub{number}"
        self.forwarder = Forwarder(f"{self.prefix}.254", port)
        self.master = f"{self.prefix}.254:{MASTER_PORT}"
        self.machines: dict[str, str] = {}

    def __enter__(self) -> "Underlay":
        shell("ip", "link", "add", self.bridge, "type", "bridge")
        shell("ip", "addr", "add", f"{self.prefix}.254/24", "dev", self.bridge)
        shell("ip", "link", "set", self.bridge, "up")
        self._firewall("-I")
        self.forwarder.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.forwarder.cut()
        for name in self.machines:
            shell("ip", "netns", "del", name, check=False)
        self._firewall("-D")
        shell("ip", "link", "del", self.bridge, check=False)

    def _firewall(self, change: str) -> None:
        """Another engine of this machine may have made dropping the default, for bridged frames as well."""
        for way in ("-i", "-o"):
            shell("iptables", "-w", change, "FORWARD", way, self.bridge, "-j", "ACCEPT", check=False)

    def add_machine(self, number: int, host: int) -> str:
        """A namespace with address `prefix`.`host`; returns its name."""
        name = f"{self.bridge}-{number}"
        shell("ip", "netns", "add", name)
        self.machines[name] = ""
        shell("ip", "link", "add", f"{self.bridge}v{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        shell("ip", "link", "set", f"{self.bridge}v{number}", "master", self.bridge, "up")
        self.inside(name, "ip", "link", "set", "lo", "up")
        self.inside(name, "ip", "link", "set", "eth0", "up")
        self.inside(name, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.readdress(name, f"{self.prefix}.{host}")
        return name

    def readdress(self, name: str, address: str) -> None:
        """The machine has this address and no other from now on."""
        self.inside(name, "ip", "addr", "flush", "dev", "eth0")
        self.inside(name, "ip", "addr", "add", f"{address}/24", "dev", "eth0")
        self.inside(name, "ip", "route", "replace", "default", "via", f"{self.prefix}.254")
        self.machines[name] = address

    @staticmethod
    def inside(name: str, *words: str, check: bool = True) -> str:
        """Run a program on a machine."""
        return shell("nsenter", f"--net=/var/run/netns/{name}", *words, check=check)

    @contextlib.contextmanager
    def capture(self, name: str, file: Path) -> Iterator[None]:
        """Record what passes eth0 of a machine; the file is complete at the end."""
        inside = ["nsenter", f"--net=/var/run/netns/{name}"]
        command = ["tcpdump", "--immediate-mode", "-U", "-n", "-i", "eth0", "-w", str(file)]
        with subprocess.Popen([*inside, *command], stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            # It says so once it listens.
            process.stderr.readline()
            try:
                yield
                # It forgets what it has not read when it ends, so the last thing that passes is one that is waited for.
                shell(*inside, "bash", "-c", f"echo {CAPTURED} >/dev/udp/{self.prefix}.254/9")
                soon(lambda: CAPTURED.encode() in file.read_bytes(), message="tcpdump has read everything")
            finally:
                process.terminate()
