"""Names follow what the master tells: at once in a small grid, and many changes together in a large one."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from agent.domain.overlay_plan import Place
from agent.domain.resolver_names import Endpoint
from agent.network.answering import Answering
from agent.network.memory import NetworkMemory
from agent.state_dir import StateDir
from services.kernel.loops import Supervisor
from tests.support.eventually import eventually

PLACE = Place(
    node_id="here",
    grid_id="g",
    grid="main",
    subnet="10.81.0.0/16",
    block="10.81.1.0/24",
    overlay_ip="10.81.1.1",
    wireguard_port=1,
    vxlan_port=2,
)
WEB = Endpoint("web-1", "web", "null", "web-1", "", False, "10.81.1.2", "here")
MANY = {f"s{n}-1": replace(WEB, instance_id=f"s{n}-1", service=f"s{n}", hostname=f"s{n}-1") for n in range(10_000)}
NAME = "web.main.kontena.local"


class Told:
    """What resolvers were told; the first time fails as often as `failures` says."""

    def __init__(self, folder: Path, failures: int = 0) -> None:
        self.names = Answering(NetworkMemory(StateDir(folder)), tuple, self._pass_on, lambda: None)
        self.names.describe_node("here")
        self.answers: list[Mapping[str, tuple[str, ...]]] = []
        self.failures = failures

    def _pass_on(self) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("no space left on device")
        found = self.names.answers(PLACE, told=False)
        assert found is not None
        self.answers.append(found)

    async def address(self, address: str, within: float = 30.0) -> None:
        """Return when the name of WEB has been told with this address."""

        async def told() -> bool:
            return self.answers[-1][NAME] == (address,)

        await eventually(told, within=within)

    def supervised(self) -> Supervisor:
        found = Supervisor()
        found.add("names", self.names.run)
        return found


async def test_a_change_is_passed_on_at_once(tmp_path: Path) -> None:
    told = Told(tmp_path)
    async with told.supervised():
        told.names.replace_endpoints({"web-1": WEB})
        await told.address("10.81.1.2", within=1)
        told.names.change_endpoints({"web-1": replace(WEB, address="10.81.1.3")}, ())
        await told.address("10.81.1.3", within=1)


async def test_many_changes_of_a_large_grid_are_passed_on_together(tmp_path: Path) -> None:
    told = Told(tmp_path)
    async with told.supervised():
        told.names.replace_endpoints(MANY | {"web-1": WEB})
        for number in range(3, 200):
            told.names.change_endpoints({"web-1": replace(WEB, address=f"10.81.1.{number}")}, ())
            await asyncio.sleep(0)
        await told.address("10.81.1.199")
        assert len(told.answers) <= 3, "each of them takes a tenth of a second"


async def test_what_could_not_be_passed_on_is_tried_again(tmp_path: Path) -> None:
    told = Told(tmp_path, failures=1)
    async with told.supervised():
        told.names.replace_endpoints({"web-1": WEB})
        await told.address("10.81.1.2")
        assert told.failures == 0
