"""A node that takes no part in the network between nodes: names lead to what is ready, whenever the agent dies."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from kontena.deploy.v1 import assignment_pb2 as pb
from tests.integration.agent.agent_node import assignment, redeployed
from tests.integration.agent.agent_process import AgentProcess
from tests.integration.agent.stand_in_master import Master
from tests.support.engine import Engine
from tests.support.eventually import eventually

pytestmark = [pytest.mark.docker, pytest.mark.slow]

CLIENT = "127.0.0.1:1/test-curl:1"
# It runs for a while before it listens.
LATE = ["sh", "-c", "echo well > /www/index.html; sleep 1; exec httpd -f -p 8080 -h /www"]
# The name is asked anew for each request.
_ASK = "/usr/bin/curl -fsS -m 300 http://web.main.kontena.local:8080/ 2>&1 || echo failed"
ASKING = ["sh", "-c", f"trap exit TERM; while true; do {_ASK}; done"]


@pytest.fixture
def agent(master: Master, engine: Engine, tmp_path: Path) -> Iterator[AgentProcess]:
    """An agent of a node that keeps to itself; containers run on beside their successors for long."""
    master.network_mode = "auto"
    found = AgentProcess(
        tmp_path / "agent.log",
        KONTENA_URI=master.uri,
        KONTENA_GRID_TOKEN="grid-token-value",
        # Bridges and chains of the machine are named after it, and other tests run beside this one.
        KONTENA_NODE_ID=uuid.uuid4().hex,
        KONTENA_NODE_NAME="node-1",
        KONTENA_STATE_DIR=str(tmp_path / "state"),
        KONTENA_RUNTIME="docker",
        KONTENA_NETWORK="local",
        KONTENA_DRAIN_SECONDS="600",
        DOCKER_HOST=engine.host,
    )
    yield found
    found.kill()
    found.command("remove-containers")
    engine.request("POST", "/networks/prune")


def running(engine: Engine) -> set[str]:
    return {name for item in engine.containers() if item["State"] == "running" for name in item["Names"]}


async def test_an_agent_that_dies_while_a_successor_starts_fails_no_request(
    master: Master, engine: Engine, agent: AgentProcess
) -> None:
    first = assignment(pod={"cmd": LATE, "wait_for_port": 8080, "stop_grace_period": 0})
    master.assign(first)
    agent.start()
    await master.running(first)
    engine.import_busybox(CLIENT, programs=["/usr/bin/curl"])
    client = assignment(service="asking", pod={"image": CLIENT, "cmd": ASKING, "stop_grace_period": 0})
    master.assign(client)

    def said() -> list[str]:
        return engine.run("logs", "asking-1").split()

    async def answered() -> None:
        before = len(said())

        async def more() -> bool:
            return said()[before:].count("well") >= 3

        await eventually(more)

    async def only(*names: str) -> None:
        async def there() -> bool:
            assert running(engine) == {"/asking-1", *names}
            return True

        await eventually(there)

    await master.running(client)
    await answered()
    # Its port never opens: the agent dies beside it.
    master.assign(_successor(first, 2, port=9))
    await only("/web-1", "/web-1.next")
    agent.kill()
    third = _successor(first, 3)
    master.assign(third)
    await answered()
    agent.start()
    after = await master.running(third)
    await only("/web-1", "/web-1.former")
    # Once the name leads to the successor, the agent dies again.
    agent.kill()
    await answered()
    agent.start()
    await only("/web-1")
    await answered()
    assert engine.inspect("web-1")["Id"] == after.container_id
    assert set(said()) == {"well"}, engine.run("logs", "asking-1")[-3000:]


def _successor(first: pb.Assignment, revision: int, port: int = 8080) -> pb.Assignment:
    new = redeployed(first, service_revision=revision, deploy_rev=first.deploy_rev + "+" * revision)
    new.pod.MergeFrom(pb.Pod(start_first=True, wait_for_port=port))
    return new
