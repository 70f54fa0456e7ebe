"""The agent's folder and the files in it that follow what the process knows."""

import asyncio
import fcntl
import itertools
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from services.kernel.logs import get_logger

log = get_logger(__name__)

D = TypeVar("D", bound=BaseModel)

# Between two writes of a document, as a multiple of the CPU time that its content took, a third of the whole; and at
# most, in seconds.
_PAUSE_PER_COST = 10_000
_LONGEST_PAUSE = 120.0


class StateDir:
    """The agent's folder. Only one process may use it. `run` must be supervised."""

    def __init__(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        self._writing = threading.Lock()
        self._generations = itertools.count(1)
        self._written: dict[str, int] = {}
        self._files: list[StateFile] = []
        self._lock = _lock_of(path)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise RuntimeError(f"another agent uses {path}; set KONTENA_STATE_DIR to a folder of its own") from error

    def read(self, name: str, kind: type[D]) -> D:
        """The document `name`, empty when there is none. One that is not what this agent writes is set aside."""
        try:
            return kind.model_validate_json((self.path / name).read_bytes())
        except FileNotFoundError:
            return kind()
        except OSError as error:
            log.error("state file cannot be read: going on without what it says", file=name, error=repr(error))
            return kind()
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            log.error(
                "state file is not what this agent writes: set aside, the master is asked",
                file=name,
                kept_as=self._set_aside(name),
                problem=f"{place}: {first['msg']}"[:300],
            )
            return kind()

    def has(self, name: str) -> bool:
        """Whether there is such a document, readable or not."""
        return (self.path / name).exists()

    def _set_aside(self, name: str) -> str:
        """Where somebody may look at it; empty when it could not be moved and will be replaced."""
        try:
            (self.path / name).replace(self.path / f"{name}.unreadable")
        except OSError:
            return ""
        return f"{name}.unreadable"

    def write(self, name: str, document: BaseModel) -> None:
        """Replace the document `name`; a crash leaves the old one or the new one."""
        self._write(name, document.model_dump_json(), next(self._generations))

    async def write_soon(self, name: str, text: str) -> None:
        """As `write`, beside the event loop, of the text of a document."""
        await asyncio.to_thread(self._write, name, text, next(self._generations))

    def write_text(self, name: str, text: str) -> Path:
        """Replace the text `name`, which only the agent's user may read; returns where it is."""
        path = self.path / name
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        return path

    def _write(self, name: str, text: str, generation: int) -> None:
        with self._writing:
            # A thread that comes late must not put back what was true before.
            if generation < self._written.get(name, 0):
                return
            temporary = self.path / f"{name}.new"
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path / name)
            self._written[name] = generation

    def add(self, file: "StateFile") -> None:
        """Keep this document written."""
        self._files.append(file)

    async def run(self) -> None:
        """Write changes as they come. Raises when that fails; call it again."""
        async with asyncio.TaskGroup() as writers:
            for file in self._files:
                writers.create_task(file.run())

    def flush(self) -> None:
        """Write everything now, or log why that is not possible."""
        for file in self._files:
            file.flush()

    def close(self) -> None:
        """Let another process use the folder."""
        os.close(self._lock)


def _lock_of(path: Path) -> int:
    """What is locked: a file in the folder, or the folder itself where nothing can be written (a disk that is full, or
    mounted to be read only)."""
    try:
        return os.open(path / "lock", os.O_WRONLY | os.O_CREAT, 0o600)
    except OSError as error:
        log.error("nothing can be written into the state folder", folder=str(path), error=repr(error))
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


class StateFile:
    """A document that follows `content`. A disk that is full or read only loses nothing while the process lives: what
    could not be written is written as soon as there is room."""

    def __init__(self, folder: StateDir, name: str, content: Callable[[], BaseModel], delay: float) -> None:
        self._folder = folder
        self._name = name
        self._content = content
        self._delay = delay
        self._dirty = asyncio.Event()
        folder.add(self)

    def read(self, kind: type[D]) -> D:
        """What was written last, empty when there is nothing that can be read."""
        return self._folder.read(self._name, kind)

    def touch(self) -> None:
        """The content changed; write it within `delay` seconds."""
        self._dirty.set()

    def flush(self) -> None:
        """Write now, or log why that is not possible."""
        self._dirty.clear()
        try:
            self._folder.write(self._name, self._content())
        except OSError as error:
            self._not_written(error)

    async def write(self) -> None:
        """Write what changed, if anything, beside the event loop; or log why that is not possible."""
        if not self._dirty.is_set():
            return
        self._dirty.clear()
        try:
            await self._folder.write_soon(self._name, self._content().model_dump_json())
        except OSError as error:
            self._not_written(error)

    def _not_written(self, error: OSError) -> None:
        self._dirty.set()
        log.error("state not written; it will be tried again", file=self._name, error=repr(error))

    async def run(self) -> None:
        """Write changes as they come, several at once. Raises OSError when that fails; call it again."""
        while True:
            await self._dirty.wait()
            await asyncio.sleep(self._delay)
            self._dirty.clear()
            began = time.thread_time()
            text = self._content().model_dump_json()
            spent = time.thread_time() - began
            try:
                await self._folder.write_soon(self._name, text)
            except OSError:
                self._dirty.set()
                raise
            # What others change all the time, such as the endpoints of a large grid, may not keep this node busy.
            await asyncio.sleep(min(_LONGEST_PAUSE, _PAUSE_PER_COST * spent))
