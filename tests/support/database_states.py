"""Puts a Postgres of a test into the states in which it cannot do its part: really, by its own means."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path

import asyncpg
import psutil


@contextmanager
def restarted_as(
    data: Path,
    *options: str,
    standby: bool = False,
    wait: bool = True,
    alone: AbstractContextManager[None] | None = None,
) -> Iterator[None]:
    """The server of the folder `data` runs with these options, as a standby of nobody if that is wanted; afterwards as
    it did before. `alone` keeps others from starting it meanwhile, and may stop it."""
    signal = data / "standby.signal"
    restart = _restarter(data)
    with alone or nullcontext():
        yield from _restarted(restart, signal, options, standby=standby, wait=wait)


def _restarted(
    restart: Callable[..., None], signal: Path, options: Sequence[str], *, standby: bool, wait: bool
) -> Iterator[None]:
    try:
        if standby:
            signal.touch()
            signal.chmod(0o644)
        restart(*(word for option in options for word in ("-c", option)), wait=wait)
        yield
    finally:
        signal.unlink(missing_ok=True)
        restart()


def _restarter(data: Path) -> Callable[..., None]:
    """Restarts the server as it runs now, with more words on its command line."""
    pid, _, _, _, socket, *_ = (data / "postmaster.pid").read_text().splitlines()
    pg_ctl = Path(psutil.Process(int(pid)).exe()).with_name("pg_ctl")

    def restart(*words: str, wait: bool = True) -> None:
        server = " ".join(("-h ''", f"-k {socket}", *words))
        command: list[str | Path] = [pg_ctl, "-D", data, "-m", "fast", "-l", data / "restarts.log", "-o", server]
        subprocess.run(
            [*command, "-w" if wait else "-W", "-t", "180", "restart"],
            check=True,
            stdout=subprocess.DEVNULL,
            user=data.owner() if os.getuid() == 0 else None,
        )

    return restart


@asynccontextmanager
async def read_only(url: str) -> AsyncIterator[None]:
    """Connections may not write, those of before included."""
    admin = await asyncpg.connect(url)
    await admin.execute("set default_transaction_read_only = off")
    try:
        await admin.execute("alter system set default_transaction_read_only = on")
        await _reload(admin)
        yield
    finally:
        await admin.execute("alter system reset default_transaction_read_only")
        await _reload(admin)
        await admin.close()


async def _reload(admin: asyncpg.Connection) -> None:
    await admin.execute("select pg_reload_conf()")


@asynccontextmanager
async def without_free_connections(url: str) -> AsyncIterator[None]:
    """All that the server takes are used."""
    taken: list[asyncpg.Connection] = []
    with suppress(asyncpg.TooManyConnectionsError):
        while True:
            taken.append(await asyncpg.connect(url))
    try:
        yield
    finally:
        await asyncio.gather(*(connection.close() for connection in taken))
