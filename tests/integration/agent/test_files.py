"""Files of secrets and configs in containers of a real engine."""

import contextlib
import hashlib
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from kontena.deploy.v1 import assignment_pb2 as pb
from tests.integration.agent.agent_node import assignment, gone, redeployed
from tests.integration.agent.agent_process import running_agent, settings
from tests.integration.agent.stand_in_master import Master
from tests.support.engine import Engine
from tests.support.eventually import eventually

pytestmark = pytest.mark.docker

BUSYBOX = Path("/bin/busybox")
TOKEN = "/run/secrets/token"
# Looks at its file before anything else, and tells nothing of what is in it but a digest.
LOOK = f"md5sum {TOKEN} | cut -c1-32; stat -c '%a %u:%g' {TOKEN}; trap 'exit 0' TERM; sleep 100000 & wait"


def secret(content: str, path: str = TOKEN, **changed: Any) -> pb.PodFile:
    return pb.PodFile(**{"path": path, "mode": 0o400, "uid": 1000, "gid": 2000, "content": content.encode(), **changed})


def md5(content: str) -> str:
    return hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()


def looking(*files: pb.PodFile, **changed: Any) -> pb.Assignment:
    return assignment(pod={"cmd": ["sh", "-c", LOOK], "user": "1000:2000"}, files=files, **changed)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Where the agent keeps files; it begins on a disk."""
    yield tmp_path / "files"
    subprocess.run(["umount", tmp_path / "files"], capture_output=True, check=False)


@contextlib.asynccontextmanager
async def on_node(master: Master, engine: Engine, root: Path, **changed: Any) -> AsyncIterator[None]:
    folder = root.parent / "state"
    chosen = settings(master.uri, folder, runtime="docker", docker_host=engine.host, files_dir=root, **changed)
    async with running_agent(chosen):

        async def attached() -> bool:
            return master.attached > 0

        await eventually(attached)
        yield


@pytest.fixture
async def node(master: Master, engine: Engine, root: Path) -> AsyncIterator[None]:
    async with on_node(master, engine, root):
        yield


async def says(master: Master, *texts: str) -> None:
    async def found() -> bool:
        assert set(texts) <= set(master.texts("web-1")), master.texts("web-1")
        return True

    await eventually(found)


def folders(root: Path) -> list[Path]:
    return sorted(root.glob("*/*"))


def kind_and_mode(path: Path) -> str:
    """Of the file system that it is on, and of itself."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", path], check=True, capture_output=True, text=True).stdout.strip()
    return f"{kind} {path.stat().st_mode & 0o777:o}"


def forget_memory(root: Path) -> None:
    subprocess.run(["umount", root], check=True)


def files_below(*places: Path) -> Iterator[Path]:
    return (path for place in places for path in place.rglob("*") if path.is_file() and not path.is_symlink())


@pytest.mark.usefixtures("node")
async def test_a_file_is_there_when_the_first_process_starts_and_nowhere_on_the_disk(
    master: Master, engine: Engine, root: Path, tmp_path: Path
) -> None:
    value = "a-value-that-stands-nowhere-else-3f9c"
    wanted = looking(secret(value))
    master.assign(wanted)
    await master.running(wanted)
    await says(master, md5(value), "400 1000:2000")
    assert value not in json.dumps(engine.inspect("web-1"))
    assert kind_and_mode(root) == "tmpfs 700"
    holding = [path for path in files_below(engine.data, tmp_path / "state") if value.encode() in path.read_bytes()]
    assert holding == []


@pytest.mark.usefixtures("node")
async def test_an_image_of_one_static_program_has_its_file_and_a_redeploy_renews_it(
    master: Master, engine: Engine, root: Path
) -> None:
    engine.import_program("kontena/test-program:1", BUSYBOX)
    pod = {
        "image": "kontena/test-program:1",
        "entrypoint": ["/busybox", "tail", "-f"],
        "cmd": ["/etc/app/settings.conf"],
        "read_only": True,
        "stop_grace_period": 0,
    }
    path = "/etc/app/settings.conf"
    first = assignment(pod=pod, files=[secret("first\n", path, mode=0o444, uid=0, gid=0)])
    master.assign(first)
    await master.running(first)
    await says(master, "first")
    before = folders(root)
    second = redeployed(first, service_revision=2)
    second.files[0].content = b"second\n"
    master.assign(second)
    await master.running(second)
    await says(master, "first", "second")
    assert len(folders(root)) == 1
    assert folders(root) != before


async def test_files_are_back_before_a_container_starts_again_after_the_node_did(
    master: Master, engine: Engine, root: Path
) -> None:
    wanted = looking(secret("kept by the master"))
    async with on_node(master, engine, root):
        master.assign(wanted)
        await master.running(wanted)
    # What is left when a machine starts: its containers do not run, and its memory is empty.
    container = engine.inspect("web-1")["Id"]
    engine.request("POST", "/containers/web-1/stop?t=0")
    forget_memory(root)
    assert folders(root) == []
    async with on_node(master, engine, root):

        async def looked_twice() -> bool:
            assert master.texts("web-1").count(md5("kept by the master")) == 2, master.texts("web-1")
            return True

        await eventually(looked_twice)
    assert engine.inspect("web-1")["Id"] == container
    assert len(folders(root)) == 1


async def test_an_agent_without_a_master_starts_a_container_with_the_files_that_are_there(
    master: Master, engine: Engine, root: Path
) -> None:
    wanted = looking(secret("still here"))
    async with on_node(master, engine, root):
        master.assign(wanted)
        await master.running(wanted)
    engine.request("POST", "/containers/web-1/stop?t=0")
    await master.stop()
    chosen = settings(master.uri, root.parent / "state", runtime="docker", docker_host=engine.host, files_dir=root)
    async with running_agent(chosen):

        async def runs() -> bool:
            return bool(engine.inspect("web-1")["State"]["Running"])

        await eventually(runs)


@pytest.mark.usefixtures("node")
async def test_files_go_with_the_instance_and_after_an_engine_that_refused_the_container(
    master: Master, engine: Engine, root: Path
) -> None:
    wanted = looking(secret("gone soon"))
    master.assign(wanted)
    await master.running(wanted)
    assert len(folders(root)) == 1
    master.withdraw(wanted.instance_id)
    await gone(engine, "web-1")

    async def none_left() -> bool:
        return folders(root) == []

    await eventually(none_left)
    refused = assignment(2, pod={"extra_hosts": ["no address"]}, files=[secret("refused")])
    master.assign(refused)
    await master.status(refused, lambda status: bool(status.error))
    await eventually(none_left)


async def test_a_folder_that_no_container_has_is_removed(master: Master, engine: Engine, root: Path) -> None:
    wanted = looking(secret("mine"))
    async with on_node(master, engine, root):
        master.assign(wanted)
        await master.running(wanted)
    left = folders(root)[0].with_name(".left-by-an-agent-that-died")
    left.mkdir()
    async with on_node(master, engine, root):

        async def swept() -> bool:
            return not left.exists()

        await eventually(swept)
        assert len(folders(root)) == 1


async def test_more_files_than_the_node_has_room_for_are_refused_and_what_runs_stays(
    master: Master, engine: Engine, root: Path
) -> None:
    async with on_node(master, engine, root, files_mb=1):
        fits = looking(secret("fits"))
        master.assign(fits)
        await master.running(fits)
        container = engine.inspect("web-1")["Id"]
        large = redeployed(fits, service_revision=2)
        large.files[0].content = b"x" * (1024**2)
        master.assign(large)
        status = await master.status(large, lambda status: bool(status.error))
        assert "KONTENA_FILES_MB" in status.error
        assert engine.inspect("web-1")["Id"] == container


@pytest.mark.usefixtures("node")
async def test_nobody_mounts_the_folder_with_the_files(master: Master, root: Path) -> None:
    wanted = assignment(pod={"volumes": [{"bind_mount": f"{root}/..//files", "path": "/stolen"}]})
    master.assign(wanted)
    status = await master.status(wanted, lambda status: bool(status.error))
    assert "mount another folder" in status.error
