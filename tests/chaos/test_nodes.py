"""Two Docker Engines as two nodes of one grid: spread, drain, loss and return, and a rolling deploy under load."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.chaos.deploying import CONTROL_PLANE, asked, ended, outcome
from tests.chaos.nodes_support import NAME, SecondNode, all_online, service
from tests.chaos.outage import away
from tests.support.containers import Docker
from tests.support.engine import Engine
from tests.support.registry import Registry
from tests.support.replica import replica
from tests.support.suite import Api, Suite, soon

SERVE = ["sh", "-c", "cp /etc/marker /www/index.html; exec httpd -f -p 8080 -h /www"]


@pytest.fixture(scope="module")
def second(suite: Suite, api: Api, image: str) -> Iterator[SecondNode]:
    """The second node, online."""
    with tempfile.TemporaryDirectory(prefix="knode") as folder, Engine(Path(folder)) as engine:
        engine.import_busybox(image)
        node = SecondNode(suite, api, engine, Path(folder), image)
        node.start()
        yield node
        node.leave()


@pytest.fixture(autouse=True)
def both_online(api: Api, second: SecondNode) -> None:
    """Each test begins with two nodes that are there."""
    all_online(api)


def test_instances_that_refuse_each_other_are_spread_and_one_too_many_is_an_error(
    api: Api, docker: Docker, second: SecondNode, image: str
) -> None:
    with service(api, "spread", image, instances=2, affinity=["service!=spread"]) as spread:
        api.deploy(spread)
        assert len(docker.running(spread)) == 1
        assert len(second.docker.running(spread)) == 1
        before = {**docker.running(spread), **second.docker.running(spread)}
        deploy = api.deployed(spread, api.call("POST", f"/v1/services/{spread}/scale", {"instances": 3}))
        assert deploy["state"] == "error"
        assert "service!=spread" in deploy["reason"], deploy
        assert {**docker.running(spread), **second.docker.running(spread)} == before


def test_a_drained_node_is_left_and_used_again_after_its_return(
    api: Api, docker: Docker, second: SecondNode, image: str
) -> None:
    with service(api, "drained", image, instances=2) as drained:
        api.deploy(drained)
        stays = docker.running(drained)
        assert (len(stays), len(second.docker.running(drained))) == (1, 1)
        api.call("PUT", f"/v1/nodes/{second.id}", {"availability": "drain"})
        try:
            soon(lambda: second.docker.all(drained) == [], message="the drained node is empty")
            soon(lambda: len(docker.running(drained)) == 2)
            assert stays.items() <= docker.running(drained).items(), "the other instance was not touched"
        finally:
            api.call("PUT", f"/v1/nodes/{second.id}", {"availability": "active"})
        with service(api, "returned", image, affinity=[f"node=={NAME}"]) as returned:
            api.deploy(returned)
            assert len(second.docker.running(returned)) == 1


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


def test_a_rolling_deploy_of_a_new_image_fails_no_request(
    api: Api, docker: Docker, second: SecondNode, suite_engine: Engine, tmp_path: Path
) -> None:
    with Registry(tmp_path / "registry", login=False) as registry:
        tag = registry.push(suite_engine, "roll:1", "old")
        port = {"ip": "127.0.0.1", "node_port": 0, "container_port": 8080}
        opts = {"min_health": 0.5, "wait_for_port": 8080}
        with service(api, "rolling", tag, instances=2, cmd=SERVE, ports=[port], deploy_opts=opts) as rolling:
            api.deploy(rolling)
            client = Client([docker, second.docker], rolling)
            before = {**docker.running(rolling), **second.docker.running(rolling)}
            with client:
                soon(lambda: client.answers.count("old") > 20)
                registry.push(suite_engine, "roll:1", "new")
                api.deploy(rolling)
                soon(lambda: client.answers[-20:] == ["new"] * 20)
            after = {**docker.running(rolling), **second.docker.running(rolling)}
            assert client.failed == []
            assert set(client.answers) == {"old", "new"}
            assert all(after[name] != before[name] for name in before)


class Client:
    """Asks the published ports of a service on loopback, as a balancer does: the next instance when one refuses. A
    request failed when no instance answered it, nor one of those that were there after that: the looks of the other
    thread take a while, and all that they found may have been replaced."""

    def __init__(self, nodes: list[Docker], name: str) -> None:
        self._nodes = nodes
        self._service = name
        self._ports: list[int] = []
        # A connection for each request.
        self._http = httpx.Client(timeout=60, limits=httpx.Limits(max_keepalive_connections=0))
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._discover, self._ask)]
        self.answers: list[str] = []
        self.failed: list[str] = []

    def __enter__(self) -> "Client":
        self._ports = self._look()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
        self._http.close()

    def _look(self) -> list[int]:
        found: list[int] = []
        for node in self._nodes:
            for entry in node.all(self._service):
                bindings = (entry["NetworkSettings"]["Ports"] or {}).get("8080/tcp") or []
                found += [int(binding["HostPort"]) for binding in bindings]
        return found

    def _discover(self) -> None:
        while not self._stop.wait(0.05):
            self._ports = self._look()

    def _ask(self) -> None:
        turn = 0
        while not self._stop.wait(0.02):
            turn += 1
            problems: list[str] = []
            if not self._answered(self._ports, turn, problems) and not self._answered(self._look(), turn, problems):
                self.failed.append(f"{time.time()}: {problems}")

    def _answered(self, ports: list[int], turn: int, problems: list[str]) -> bool:
        for port in ports[turn % 2 :] + ports[: turn % 2]:
            try:
                answer = self._http.get(f"http://127.0.0.1:{port}/")
            except httpx.TransportError as error:
                problems.append(f"{port}: {error!r}")
                continue
            self.answers.append(answer.text if answer.status_code == 200 else f"status {answer.status_code}")
            return True
        return False


def test_a_port_that_never_opens_ends_the_deploy_with_its_reason(api: Api, second: SecondNode, image: str) -> None:
    opts = {"wait_for_port": 81}
    with service(api, "deaf", image, affinity=[f"node=={NAME}"], deploy_opts=opts) as deaf:
        deploy = api.deployed(deaf, api.call("POST", f"/v1/services/{deaf}/deploy", {}))
        assert deploy["state"] == "error"
        [instance] = deploy["instance_deploys"]
        assert "port 81 did not accept connections within 3 s" in instance["error"]


def test_an_agent_that_dies_touches_nothing_and_finds_what_changed_meanwhile(
    api: Api, second: SecondNode, image: str
) -> None:
    with service(api, "adopted", image, instances=1, affinity=[f"node=={NAME}"]) as adopted:
        api.deploy(adopted)
        before = second.docker.running(adopted)
        second.kill()
        second.start()
        api.deploy(adopted)
        assert second.docker.running(adopted) == before


def test_instances_of_a_lost_node_are_replaced_after_the_grace_and_it_is_used_again_after_its_return(
    suite: Suite, api: Api, docker: Docker, second: SecondNode, image: str
) -> None:
    impatient = replica(suite, "deploy", 27, GRACE_FACTOR="0.02", RECONCILE_SECONDS="0.5")
    with service(api, "lost", image, instances=2) as lost:
        api.deploy(lost)
        stays = docker.running(lost)
        assert (len(stays), len(second.docker.running(lost))) == (1, 1)
        beside = ExitStack()
        beside.enter_context(impatient)
        try:
            second.kill()
            second.engine.halt()
            soon(lambda: len(docker.running(lost)) == 2, within=180, message="the lost instance runs elsewhere")
            assert stays.items() <= docker.running(lost).items()
        finally:
            beside.close()
            second.engine.launch()
            second.start()
        # The returned node gives up what moved, and is used again: the strategy spreads over both.
        soon(
            lambda: (
                sorted([*docker.running(lost), *second.docker.running(lost)]) == ["lost-1", "lost-2"]
                and len(docker.running(lost)) == 1
            ),
            within=180,
            message=f"each node has one instance: {second.log()[-3000:]}",
        )


def everywhere(docker: Docker, second: SecondNode, name: str) -> dict[str, tuple[str, str]]:
    """Running containers of a service on both nodes."""
    return {**docker.running(name), **second.docker.running(name)}


def test_a_deploy_while_the_agents_come_back_moves_nothing(
    suite: Suite, api: Api, docker: Docker, second: SecondNode, image: str
) -> None:
    """The gateway dies, so that no node is connected for a moment; they come back one by one."""
    with service(api, "patient", image, instances=2) as patient:
        api.deploy(patient)
        before = everywhere(docker, second, patient)
        assert len(second.docker.running(patient)) == 1
        for pid in suite.pids("gateway"):
            os.kill(pid, signal.SIGKILL)
        made = asked(api, "POST", f"/v1/services/{patient}/deploy")
        assert outcome(ended(api, patient, str(made["id"]))) == ("success", None)
        assert everywhere(docker, second, patient) == before


@pytest.mark.heavy
def test_a_control_plane_that_is_away_for_long_loses_no_deploy_and_moves_nothing(
    suite: Suite, api: Api, docker: Docker, second: SecondNode, image: str
) -> None:
    """For a minute, which is longer than grid_svc takes a silent node for connected."""
    with service(api, "calm", image, instances=2) as calm, service(api, "caught", image, instances=4) as caught:
        api.deploy(calm)
        before = everywhere(docker, second, calm)
        assert len(second.docker.running(calm)) == 1
        made = api.call("POST", f"/v1/services/{caught}/deploy", {})
        with away(suite, CONTROL_PLANE, 65):
            assert everywhere(docker, second, calm) == before
        assert outcome(ended(api, caught, str(made["id"]), within=120)) == ("success", None)
        assert len(everywhere(docker, second, caught)) == 4
        again = asked(api, "POST", f"/v1/services/{calm}/deploy")
        assert outcome(ended(api, calm, str(again["id"]))) == ("success", None)
        assert everywhere(docker, second, calm) == before
