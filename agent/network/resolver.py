"""The resolver of this node: dnsmasq, fed with a hosts file. It lives on without the agent, and answers as before."""

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from agent.domain.dns import ZONE
from agent.domain.overlay_plan import Names
from agent.domain.resolver_names import hosts_file
from agent.network.commands import CommandFailed, run
from services.kernel.logs import get_logger

log = get_logger(__name__)

# Outside of the agent's own folder, which only root may read: the resolver gives up its rights once it has its port.
RUN_DIR = Path("/run/kontena")
_WAITING_QUERIES = 1000
_LOOKS, _PAUSE = 200, 0.05


class Resolver:
    """Answers the containers of this node, at the gateway of its block."""

    def __init__(self, names: Names, gateway: str) -> None:
        self._folder = RUN_DIR / names.bridge
        self._gateway = gateway
        self._hosts = self._folder / "hosts"
        self._pid_file = self._folder / "pid"
        self._content: str | None = None
        self.names = _names_in(self._hosts)

    def answer(self, answers: Mapping[str, tuple[str, ...]]) -> None:
        """Answer these names and no others of the zone."""
        self.names = len(answers)
        self._content = hosts_file(answers)
        self._write(self._content)

    def keep(self) -> bool:
        """Answer as told, whatever somebody did to its file; False when this process has told nothing."""
        if self._content is None:
            return False
        self._write(self._content)
        return True

    def _write(self, content: str) -> None:
        for folder in (RUN_DIR, self._folder):
            folder.mkdir(exist_ok=True)
            # Whatever the umask of the agent is: the resolver gives up its rights and reads on.
            folder.chmod(0o755)
        if self._hosts.exists() and self._hosts.read_text() == content:
            return
        # Replaced as a whole: the resolver must not read half of it.
        temporary = self._folder / "hosts.new"
        temporary.write_text(content)
        temporary.chmod(0o644)
        temporary.replace(self._hosts)
        if (pid := self._pid()) is not None:
            os.kill(pid, signal.SIGHUP)

    def has_answers(self) -> bool:
        """Whether it was ever told what to answer, be it by an agent before this one."""
        return self._hosts.exists()

    @property
    def running(self) -> bool:
        """Whether it runs, at this gateway."""
        return self._pid(self._gateway) is not None

    async def start(self) -> None:
        """Run it unless it runs. Raises CommandFailed with what it says."""
        if self.running:
            return
        await self._end_elsewhere()
        if not self._hosts.exists():
            self._write("")
        await run(
            (
                "dnsmasq",
                "--conf-file=/dev/null",
                "--no-hosts",
                f"--addn-hosts={self._hosts}",
                f"--pid-file={self._pid_file}",
                f"--log-facility={self._folder / 'log'}",
                f"--listen-address={self._gateway}",
                "--bind-interfaces",
                "--except-interface=lo",
                # Names of the zone are answered here alone, with nothing where an instance has no such address; all
                # others go to the resolvers of this machine, but never those without a dot.
                f"--local=/{ZONE}/",
                "--domain-needed",
                f"--dns-forward-max={_WAITING_QUERIES}",
            )
        )
        log.info("resolver started", address=self._gateway)

    def stop(self) -> None:
        """Stop it and forget its answers."""
        if (pid := self._pid()) is not None:
            os.kill(pid, signal.SIGTERM)
        for name in ("hosts", "pid", "log"):
            (self._folder / name).unlink(missing_ok=True)
        if self._folder.exists():
            self._folder.rmdir()

    async def _end_elsewhere(self) -> None:
        """The network of before had another gateway."""
        for _ in range(_LOOKS):
            if (pid := self._pid()) is None:
                return
            os.kill(pid, signal.SIGTERM)
            await asyncio.sleep(_PAUSE)
        raise CommandFailed("the resolver of another gateway does not end")

    def _pid(self, gateway: str = "") -> int | None:
        """The process, when it is this very resolver, at this gateway if one is named: numbers of processes are given
        again."""
        try:
            pid = int(self._pid_file.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except (OSError, ValueError):
            return None
        ours = str(self._hosts) in command and (not gateway or f"--listen-address={gateway}\0" in command)
        return pid if ours else None


def _names_in(hosts: Path) -> int:
    lines = hosts.read_text().splitlines() if hosts.exists() else ()
    return len({line.partition(" ")[2] for line in lines})
