"""The tour of the README and the guide to the API, typed in line by line: with a Docker Engine, and on a machine that
has none."""

import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.engine import Engine
from tests.support.ports import free_port
from tests.support.readme import Shell, Step, steps
from tests.support.suite import REPOSITORY, Suite

TOUR = (REPOSITORY / "README.md").read_text().partition("## A tour")[2].partition("\n## ")[0]
GUIDE = (REPOSITORY / "docs/api.md").read_text().partition("\n## REST from Python")[0]
ENGINE = "# needs the engine"
PRETENDED = re.compile(r'"Containers are only pretended: no container engine on node [^"]+"')
TOLD = re.compile(r"(?<=is deployed): Containers are only pretended: no container engine on node \S+")


def plain(node: str, port: int) -> Callable[[str], str]:
    """Names, ports and times as in the README."""

    def replaced(line: str) -> str:
        line = re.sub(r"(?<=http://127\.0\.0\.1:)(?!8899\b)\d+(?=;)", "9292", line)
        line = line.replace(f":{port}/", ":8899/").replace(f" {port}->", " 8899->").replace(node, "vm")
        line = re.sub(r" Up .*", " Up", re.sub(r" \d+[smh]$", " 2s", line))
        # Columns are as wide as what stands in them.
        return re.sub(r" {2,}", "  ", line)

    return replaced


def walk(suite: Suite, tour: list[Step], line: Callable[[str], str], port: int) -> None:
    with Shell(suite.folder, suite.env, line) as shell:
        for step in tour:
            shell.follow(step, step.command.replace("8899", str(port)))


def test_the_tour_has_steps_with_and_without_an_engine() -> None:
    tour = steps(TOUR)
    assert len(tour) > 10
    assert {ENGINE in step.command for step in tour} == {True, False}


def test_the_tour_does_what_it_says(suite: Suite, suite_engine: Engine) -> None:
    suite_engine.import_busybox("busybox:latest")
    port = free_port()
    walk(suite, steps(TOUR), plain("local-node", port), port)


def test_the_guide_to_the_api_does_what_it_says(suite: Suite, suite_engine: Engine) -> None:
    suite_engine.import_busybox("busybox:latest")
    port = free_port()
    walk(suite, steps(GUIDE), plain("local-node", port), port)


@pytest.fixture(scope="module")
def bare() -> Iterator[Suite]:
    """A clean copy for a machine without an engine, where nothing is installed yet."""
    with tempfile.TemporaryDirectory(prefix="kbare") as folder:
        bare = Suite(Path(folder), "")
        bare.env["KONTENA_RUNTIME"] = "hollow"
        bare.copy_tree()
        try:
            yield bare
        finally:
            bare.make("down")


@pytest.mark.heavy
def test_without_an_engine_the_tour_says_that_nothing_runs(bare: Suite) -> None:
    line, port, pretended = plain("local-node", 0), 8899, []

    def honest(text: str) -> str:
        pretended.extend(PRETENDED.findall(text) + TOLD.findall(text))
        return TOLD.sub("", PRETENDED.sub("null", line(text)))

    walk(bare, [step for step in steps(TOUR) if ENGINE not in step.command], honest, port)
    assert pretended, "a deploy has it in its reason"
    assert "only PRETENDS to run containers" in bare.make("up")
    assert "only PRETENDS to run containers" in bare.make("status")
    [node] = bare.api().call("GET", "/v1/grids/local/nodes")["nodes"]
    assert "only pretended" in node["os"]


@pytest.mark.heavy
def test_an_engine_that_is_started_later_is_what_the_master_shows(bare: Suite, suite_engine: Engine) -> None:
    assert "only PRETENDS to run containers" in bare.make("up")
    bare.make("down")
    bare.env |= {"KONTENA_RUNTIME": "auto", "DOCKER_HOST": suite_engine.host}
    said = bare.make("up")
    [node] = [node for node in bare.api().call("GET", "/v1/grids/local/nodes")["nodes"] if node["status"] == "online"]
    version = suite_engine.request("GET", "/version")["Version"]
    assert node["docker_version"] == version
    assert "pretended" not in node["os"]
    assert f"node {node['name']} is online, Docker Engine {version}" in said
    assert "PRETENDS" not in said
