"""Files of secrets and configs: kept in memory on the node, mounted into containers, gone with them.

    <root>/<node>/<token>/<name of the file>

Each container has a folder of its own, named by a token in its labels; the engine mounts each file of it. The folder
is complete or not there. It outlives the container's stops and this process, not the machine: what is missing after
that is written again, from what the master said, before the container starts.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from agent.domain import files as rules
from agent.domain import labels
from agent.domain.errors import ConfigInvalid, SecretsNeeded
from agent.domain.labels import InstanceKey, key_of
from agent.runtime.ports import Container
from kontena.deploy.v1 import assignment_pb2 as pb
from services.kernel.logs import get_logger

log = get_logger(__name__)

DEFAULT_ROOT = Path("/run/kontena/files")
DEFAULT_LIMIT = 64 * 1024**2
_MOUNT_INFO = Path("/proc/self/mountinfo")
_MOUNT_SECONDS = 10.0


class Files:
    """Of this node, at most `limit` bytes. Without an engine (`real` is False) nothing is written."""

    def __init__(self, root: Path = DEFAULT_ROOT, limit: int = DEFAULT_LIMIT, *, real: bool = True) -> None:
        self.root = root
        self._limit = limit
        self._real = real
        # What each instance has, for a container whose files are gone; None is what only the master knows.
        self._known: dict[InstanceKey, Sequence[pb.PodFile] | None] = {}
        # Folders of containers that are being made.
        self._under_way: set[Path] = set()

    def learn(self, key: InstanceKey, files: Sequence[pb.PodFile], *, sealed: bool) -> None:
        """An instance has these files; `sealed` ones have no content."""
        if files:
            self._known[key] = None if sealed else files
        else:
            self._known.pop(key, None)

    def forget(self, key: InstanceKey) -> None:
        """The instance is gone."""
        self._known.pop(key, None)

    def has(self, key: InstanceKey) -> bool:
        return key in self._known

    def new_token(self, assignment: pb.Assignment) -> str:
        """A name for the folder of a container that is about to be made; empty when it has no files. It says nothing of
        what is in them."""
        return f"{assignment.instance_id}-{secrets.token_hex(8)}" if assignment.files else ""

    def folder(self, node_id: str, token: str) -> Path:
        """Where the files of a container are."""
        return self.root / rules.node_folder(node_id) / token

    @contextlib.asynccontextmanager
    async def placed(self, node_id: str, token: str, files: Sequence[pb.PodFile]) -> AsyncIterator[None]:
        """The files are there while the container is made, and go again when that fails. Raises ConfigInvalid."""
        if not token or not self._real:
            yield
            return
        folder = self.folder(node_id, token)
        self._under_way.add(folder)
        try:
            await asyncio.to_thread(self._write, folder, files)
            yield
        except BaseException:
            # Not beside the event loop: a task that is canceled would leave it behind.
            _remove(folder)
            raise
        finally:
            self._under_way.discard(folder)

    async def ready(self, container: Container) -> None:
        """See to it that the files of a container are there before it starts. Raises SecretsNeeded when only the master
        knows what is in them."""
        folder = self._folder_of(container.labels)
        if folder is None or not self._real or await asyncio.to_thread(folder.is_dir):
            return
        key = key_of(container.labels)
        known = None if key is None else self._known.get(key)
        if known is None:
            raise SecretsNeeded("the files of the container are gone, and their content is known to the master only")
        log.info("writing the files of a container again", name=container.name)
        self._under_way.add(folder)
        try:
            await asyncio.to_thread(self._write, folder, known)
        finally:
            self._under_way.discard(folder)

    async def remove(self, tags: Mapping[str, str]) -> None:
        """The container with these labels is gone, and so are its files."""
        folder = self._folder_of(tags)
        if folder is not None and self._real:
            await asyncio.to_thread(_remove, folder)

    async def sweep(self, listed: Collection[Mapping[str, str]], folders: Sequence[Path]) -> None:
        """Remove those of the `folders`, seen before the containers with the labels `listed` were, that none of these
        has."""
        used = {folder for tags in listed if (folder := self._folder_of(tags)) is not None}
        kept = used | self._under_way | {_draft(folder) for folder in self._under_way}
        left = [folder for folder in folders if folder not in kept]
        for folder in left:
            log.info("removing files of a container that is gone", folder=folder.name)
            await asyncio.to_thread(_remove, folder)

    async def all(self, node_ids: Collection[str]) -> list[Path]:
        """The folders of containers of these nodes, drafts that were left behind included."""
        return await asyncio.to_thread(self._folders, node_ids)

    def refuse_mount(self, pod: pb.Pod) -> None:
        """Raise ConfigInvalid for a pod that mounts what is kept here."""
        sources = [volume.bind_mount for volume in pod.volumes if volume.bind_mount]
        sources += [text for volume in pod.volumes if (text := volume.driver_opts.get("device", "")).startswith("/")]
        sources += [os.path.realpath(source) for source in sources]
        if found := rules.inside(sources, str(self.root)):
            raise ConfigInvalid(f"volume {found} is where the agent keeps files of containers: mount another folder")

    def _folder_of(self, tags: Mapping[str, str]) -> Path | None:
        token = tags.get(labels.FILES, "")
        if not token or "/" in token or token.startswith("."):
            return None
        return self.folder(tags.get(labels.NODE_ID, ""), token)

    def _folders(self, node_ids: Collection[str]) -> list[Path]:
        found: list[Path] = []
        for node_id in node_ids:
            with contextlib.suppress(FileNotFoundError):
                found += (self.root / rules.node_folder(node_id)).iterdir()
        return found

    def _write(self, folder: Path, files: Sequence[pb.PodFile]) -> None:
        try:
            self._in_memory()
            folder.parent.mkdir(mode=0o700, exist_ok=True)
            self._check_limit(folder.parent, sum(len(file.content) for file in files))
            draft = _draft(folder)
            _remove(draft)
            draft.mkdir(mode=0o700)
            for file in files:
                _write_one(draft / rules.file_name(file.path), file)
            draft.rename(folder)
        except PermissionError as error:
            raise ConfigInvalid(
                f"files need an agent that may write to {self.root} and give files to users (root, CAP_CHOWN): "
                f"{error.strerror}"
            ) from None
        except OSError as error:
            raise ConfigInvalid(f"files cannot be written to {self.root}: {error.strerror}") from None

    def _check_limit(self, folder: Path, more: int) -> None:
        held = sum(file.stat().st_size for file in folder.glob("*/*"))
        if held + more > self._limit:
            raise ConfigInvalid(
                f"files of this node would take {held + more} bytes of memory, more than its {self._limit}: use "
                "smaller ones, another node, or set KONTENA_FILES_MB of the agent"
            )

    def _in_memory(self) -> None:
        """Raise ConfigInvalid unless the folder is in memory; it is made so where that is possible."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _kind(self.root) in rules.IN_MEMORY:
            return
        with _locked(self.root.parent / f".{self.root.name}.lock"):
            if _kind(self.root) in rules.IN_MEMORY:
                return
            problem = self._mount()
        if problem or _kind(self.root) not in rules.IN_MEMORY:
            raise ConfigInvalid(
                f"files are kept in memory only, and {self.root} is on {_kind(self.root) or 'a disk'}: mount a tmpfs "
                f"of the node there ({problem or 'mounting one changed nothing'})"
            )

    def _mount(self) -> str:
        """Why no file system could be mounted; empty when one was."""
        options = f"mode=0700,nosuid,nodev,noexec,size={self._limit}"
        command = ["mount", "-t", "tmpfs", "-o", options, "kontena-files", str(self.root)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_MOUNT_SECONDS, check=False)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired) as error:
            return type(error).__name__
        return done.stderr.strip()[:200] if done.returncode else ""


def _draft(folder: Path) -> Path:
    """Where its files are until all of them are there."""
    return folder.with_name(f".{folder.name}")


def _kind(path: Path) -> str:
    return rules.file_system(_MOUNT_INFO.read_text(), os.path.realpath(path))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one agent of the machine is here at a time."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_one(path: Path, file: pb.PodFile) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(file.content)
        # The mode first: who has given it away may change it no more.
        os.fchmod(out.fileno(), file.mode & 0o777)
        if (file.uid, file.gid) != (os.geteuid(), os.getegid()):
            os.fchown(out.fileno(), file.uid, file.gid)


def _remove(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
