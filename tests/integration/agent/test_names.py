"""A name that is used again at once: what leaves makes room for what comes."""

import asyncio
import contextlib
import os

import pytest

from kontena.deploy.v1 import assignment_pb2 as pb
from tests.integration.agent.agent_node import assignment
from tests.integration.agent.stand_in_master import Master
from tests.support.engine import Engine, EngineError
from tests.support.eventually import eventually
from tests.support.ports import free_port

pytestmark = pytest.mark.docker

# Takes a while to end, as real programs do.
SLOW = ["sh", "-c", "trap 'sleep 0.4; exit 0' TERM; sleep 100000 & wait"]
ROUNDS = 20 if os.environ.get("KONTENA_SOAK") else 4


def numbered(round_number: int, service: str, **pod: object) -> pb.Assignment:
    """Each time a new service of the same name."""
    return assignment(
        service=service,
        pod={"cmd": SLOW, "stop_grace_period": 5, **pod},
        service_id=f"{service}{round_number}".encode().hex().ljust(24, "d"),
        instance_id=f"{service}{round_number}i".encode().hex().ljust(24, "0"),
    )


@pytest.mark.usefixtures("node")
async def test_a_service_that_is_removed_and_made_again_at_once_never_fails(master: Master, engine: Engine) -> None:
    port = {"ip": "127.0.0.1", "node_port": free_port(), "container_port": 80}
    last: list[pb.Assignment] = []
    for number in range(ROUNDS):
        master.withdraw(*(item.instance_id for item in last))
        # One with a port, one with data, and one of another name that takes the port of one that leaves.
        holder = numbered(number, "web" if number % 2 else "www", ports=[port])
        last = [holder, numbered(number, "db", stateful=True, volumes=[{"path": "/data"}])]
        master.assign(*last)
        await asyncio.gather(*(master.running(item) for item in last))
    assert {status.error for status in master.history} == {""}

    async def tidy() -> bool:
        return len(engine.containers()) == 2 and len(engine.volumes()) == 1

    await eventually(tidy)


@pytest.mark.usefixtures("node")
async def test_a_container_that_somebody_else_is_removing_is_waited_for(master: Master, engine: Engine) -> None:
    wanted = numbered(1, "web")
    master.assign(wanted)
    await master.running(wanted)

    def remove() -> None:
        # The agent may have been faster, or be at it.
        with contextlib.suppress(EngineError):
            engine.request("DELETE", "/containers/web-1?force=1")

    removal = asyncio.create_task(asyncio.to_thread(remove))
    master.withdraw(wanted.instance_id)
    again = numbered(2, "web")
    master.assign(again)
    await master.running(again)
    await removal
    assert {status.error for status in master.history} == {""}


@pytest.mark.usefixtures("node")
async def test_the_name_of_an_instance_that_stays_is_a_conflict(master: Master, engine: Engine) -> None:
    wanted = numbered(1, "web")
    master.assign(wanted)
    before = await master.running(wanted)
    namesake = numbered(2, "web")
    master.assign(namesake)
    status = await master.status(namesake, lambda status: bool(status.error))
    assert "the name web-1 is taken by another service of this node" in status.error
    assert engine.inspect("web-1")["Id"] == before.container_id
