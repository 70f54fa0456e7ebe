"""A node is drained and comes back, on two Docker Engines: what has data waits there, everything else moves."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.nodes_support import SecondNode, service
from tests.support.containers import Docker
from tests.support.engine import Engine
from tests.support.suite import Api, Suite, soon


@pytest.fixture(scope="module")
def second(suite: Suite, api: Api, image: str) -> Iterator[SecondNode]:
    """The second node, online."""
    with tempfile.TemporaryDirectory(prefix="knode") as folder, Engine(Path(folder)) as engine:
        engine.import_busybox(image)
        node = SecondNode(suite, api, engine, Path(folder), image)
        node.start()
        yield node
        node.leave()


def test_stateless_instances_move_and_stateful_ones_wait_for_their_node(
    api: Api, docker: Docker, second: SecondNode, image: str
) -> None:
    with service(api, "web", image, instances=2) as web, service(api, "db", image, instances=2, stateful=True) as db:
        api.deploy(web)
        api.deploy(db)
        here, there = docker.running(db), second.docker.running(db)
        assert (len(here), len(there), len(second.docker.running(web))) == (1, 1, 1)
        [(container, (identity, _))] = there.items()
        second.docker.command("exec", container, "sh", "-c", "echo kept > /kept")

        node = api.call("PUT", f"/v1/nodes/{second.id}", {"availability": "drain"})
        assert (node["status"], node["availability"]) == ("drain", "drain")
        try:
            soon(lambda: len(docker.running(web)) == 2 and not second.docker.all(web), message="web moved")
            soon(lambda: not second.docker.running(db), message="db is stopped")
            [stopped] = [each for each in second.docker.all(db) if each["Name"] == f"/{container}"]
            assert (stopped["Id"], stopped["State"]["Running"]) == (identity, False)
            assert docker.running(db) == here, "nothing else of it was touched"
        finally:
            node = api.call("PUT", f"/v1/nodes/{second.id}", {"availability": "active"})
        assert node["status"] == "online"
        soon(lambda: list(second.docker.running(db)) == [container], message="db is back")
        assert second.docker.running(db)[container][0] == identity, "the same container"
        assert second.docker.command("exec", container, "cat", "/kept") == "kept\n"
        assert docker.running(db) == here
