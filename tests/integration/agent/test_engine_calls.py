"""How often the agent asks the engine for something: all of a node's instances ask at once when many are deployed."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import aiodocker
import pytest

from agent.domain.labels import InstanceKey
from agent.operations import Operations
from agent.removal import NoLogs, NoMaster, NoRemovals
from agent.runtime.config import GridNetwork
from agent.runtime.docker import DockerRuntime
from agent.site import LoggedEvents, Site
from agent.state import State
from agent.state_dir import StateDir
from agent.streams.reporter import Reporter
from kontena.grid.v1 import node_session_pb2 as session_pb
from tests.integration.agent.agent_node import assignment
from tests.integration.agent.conftest import IMAGE
from tests.support.engine import Engine
from tests.support.ports import claimed

pytestmark = pytest.mark.docker

_NAME = re.compile(r"(containers|networks|images)/(?!json|create)(.+?)(?=$|/json|/start)")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many calls there were of each kind, such as `GET containers/*/json`."""
    found: Counter[str] = Counter()
    ask = aiodocker.Docker._do_query

    async def count(self: Any, path: str, method: str = "GET", **given: Any) -> Any:
        if path != "version":
            found[method + " " + _NAME.sub(r"\1/*", str(path))] += 1
        return await ask(self, path, method, **given)

    monkeypatch.setattr(aiodocker.Docker, "_do_query", count)
    return found


@pytest.fixture
async def runtime(engine: Engine) -> AsyncIterator[DockerRuntime]:
    found = DockerRuntime(engine.host)
    yield found
    await found.close()


async def test_one_rollout_asks_for_its_image_once_however_many_instances_need_it(
    runtime: DockerRuntime, calls: Counter[str]
) -> None:
    found = await asyncio.gather(*(runtime.images.ensure(IMAGE, "1", None) for _ in range(20)))
    assert len({image.id for image in found}) == 1
    # Nobody answers at the registry, so it is asked again. The first one looks what there is, and one for all others.
    assert calls == {"POST images/create": 3, "GET images/*/json": 2}
    calls.clear()
    await runtime.images.ensure(IMAGE, "1", None)
    assert calls == {"GET images/*/json": 1}, "whoever comes later looks whether it is still there"


async def test_one_look_at_the_network_answers_all_who_need_it(
    runtime: DockerRuntime, engine: Engine, calls: Counter[str]
) -> None:
    await asyncio.gather(*(runtime.networks.ensure("kontena-many", {}) for _ in range(20)))
    assert calls == {"GET networks/*": 2, "POST networks/create": 1}
    calls.clear()
    await runtime.networks.ensure("kontena-many", {})
    assert calls == {"GET networks/*": 1}, "whoever comes later looks whether it is still there"
    engine.request("DELETE", "/networks/kontena-many")


async def test_one_look_at_the_network_between_nodes_answers_all_who_need_it(
    runtime: DockerRuntime, engine: Engine, calls: Counter[str]
) -> None:
    number = next(each for each in range(256) if claimed(f"network-10.90.{each}.0"))
    block = f"10.90.{number}.0/24"
    join = partial(
        runtime.networks.ensure_overlay,
        "spanned",
        block,
        f"10.90.{number}.1",
        f"kbr-test-{number}",
        1400,
        local_bridge="kbr-alone",
    )
    found = await asyncio.gather(*(join() for _ in range(20)))
    assert {(network.name, network.block) for network in found} == {("kontena-spanned", block)}
    # The first one makes it, among three names that it may have; one more look is for all others.
    assert calls == {"GET networks/*": 7, "POST networks/create": 1}
    engine.request("DELETE", "/networks/kontena-spanned")


async def test_a_new_instance_costs_few_calls(
    runtime: DockerRuntime, calls: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    join = Site.grid_network

    async def counted(site: Site) -> GridNetwork:
        calls["join"] += 1
        return await join(site)

    monkeypatch.setattr(Site, "grid_network", counted)
    folder = StateDir(tmp_path)
    state = State(folder)
    state.describe_node(session_pb.NodeDescription(id="n1", name="node-1", grid="main"))
    site = Site(runtime, Reporter(), state, NoLogs(), NoMaster(), NoRemovals(), LoggedEvents())
    wanted = assignment()
    operations = Operations(InstanceKey(wanted.service_id, wanted.instance_number), site)
    await site.runtime.images.ensure(IMAGE, wanted.deploy_rev, None)
    await site.runtime.networks.ensure((await site.grid_network()).name, {})
    calls.clear()
    assert await operations.find() is None
    await operations.create(wanted, None, sealed=False)
    made = await operations.look()
    folder.close()
    assert made is not None
    assert made.running
    assert calls == {
        "join": 1,
        "GET containers/json": 1,
        "GET images/*/json": 1,
        "GET networks/*": 1,
        "POST containers/create": 1,
        "POST containers/*/start": 1,
        # Whether the name is free, and what came of it.
        "GET containers/*/json": 2,
    }
