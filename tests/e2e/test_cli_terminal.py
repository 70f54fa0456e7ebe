"""`kctl` on a terminal: what stands on the screen, and which keys do what."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.containers import Docker
from tests.support.suite import Api, Suite, soon
from tests.support.terminal import Terminal

LOOP = ["sh", "-c", "trap exit TERM; sleep 100000 & wait"]
Opened = Callable[..., Terminal]


@pytest.fixture
def kctl(suite: Suite, api: Api, tmp_path: Path) -> Opened:
    """Opens a terminal in which a command runs, as it is installed by `make up`."""
    environment = {
        "KONTENA_URL": api.url,
        "KONTENA_TOKEN": api.token,
        "KONTENA_GRID": api.grid,
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
    }
    program = str(suite.folder / ".venv/bin/kctl")
    return lambda *words, **options: Terminal([program, *words], environment, **options)


@pytest.fixture
def file(api: Api, image: str, docker: Docker, tmp_path: Path) -> Iterator[Path]:
    """The document of a stack, which is gone afterwards."""
    common = {"image": image, "cmd": LOOP, "stateful": False, "stop_grace_period": "0s"}
    services: list[dict[str, Any]] = [{"name": "db", **common}, {"name": "web", "instances": 2, **common}]
    path = tmp_path / "stack.json"
    path.write_text(json.dumps({"name": "seen", "stack": "me/seen", "version": "1", "services": services}))
    yield path
    soon(lambda: api.request("DELETE", f"/v1/stacks/{api.grid}/seen").status_code in (200, 404))
    soon(lambda: docker.all(f"{api.grid}/seen/web") == [], message="its containers are gone")
    soon(lambda: api.request("GET", f"/v1/stacks/{api.grid}/seen").status_code == 404)


def test_a_deploy_keeps_one_line_per_service_on_the_screen(api: Api, kctl: Opened, file: Path) -> None:
    with kctl("deploy", "-f", str(file)) as terminal:
        terminal.shows("Deploy this? [y/N]: ")
        terminal.keys("y\n")
        assert terminal.ended() == 0
        told = [re.sub(r"[━╸╺]+", "━━", line) for line in terminal.screen]
    assert told == [
        f"{api.grid}/seen revision 1: 2 to create",
        "+ db: create, 1 instance on local-node",
        "+ web: create, 2 instances on local-node",
        "Deploy this? [y/N]: y",
        "seen/db  ━━ done, 1 of 1 instance on local-node",
        "seen/web ━━ done, 2 of 2 instances on local-node",
        "stack seen is deployed",
    ]


def test_whoever_leaves_is_told_how_to_come_back_and_the_deploy_goes_on(api: Api, kctl: Opened, file: Path) -> None:
    document = json.loads(file.read_text())
    document["services"][1]["deploy_opts"] = {"wait_for_port": 9}
    file.write_text(json.dumps(document))
    with kctl("deploy", "-f", str(file), "-y", columns=160) as terminal:
        terminal.shows("seen/web")
        terminal.keys("\x03")
        terminal.shows("Ctrl-C again")
        assert terminal.ended() == 130
        [told] = [line for line in terminal.screen if "the deploy goes on" in line]
    deploy = told.split()[-1]
    assert f"kctl wait stacks/{api.grid}/seen --deploy {deploy}" in told
    path = f"/v1/stacks/{api.grid}/seen/deploys/{deploy}"
    assert "finished_at" not in api.call("GET", path)
    with kctl("wait", "seen", "--deploy", deploy, columns=160) as terminal:
        terminal.shows("seen/web")
        terminal.keys("\x03")
        terminal.shows("Ctrl-C again")
        terminal.keys("\x03")
        terminal.shows("Cancel the deploy? [y/N]: ")
        terminal.keys("y\n")
        assert terminal.ended() == 3
        assert any(line.startswith("canceled: ") for line in terminal.screen)
    assert "canceled_at" in api.call("GET", path)


@pytest.fixture
def shell(api: Api, image: str, docker: Docker) -> Iterator[str]:
    """The name of a service with one container, which is gone afterwards."""
    body = {"name": "shell", "image": image, "cmd": LOOP, "stateful": False, "stop_grace_period": "0s"}
    service = api.call("POST", f"/v1/grids/{api.grid}/services", body, status=201)["id"]
    api.deploy(service)
    yield "shell"
    api.call("DELETE", f"/v1/services/{service}")
    soon(lambda: docker.all(service) == [])
    soon(lambda: api.request("GET", f"/v1/services/{service}").status_code == 404)


def test_a_shell_in_a_container_has_the_terminal_of_the_caller(kctl: Opened, shell: str) -> None:
    with kctl("exec", "-it", shell, "sh", columns=77, lines=24) as terminal:
        terminal.shows("# ")
        terminal.keys("stty size\n")
        terminal.shows("24 77")
        # Said by the command itself: until it has the terminal, the shell has it, and may keep what is typed.
        terminal.keys("sh -c \"echo beg''un; exec sleep 1000\"\n")
        terminal.shows("begun")
        # It ends the command in the container, and neither the shell nor kctl.
        terminal.keys("\x03")
        terminal.shows("^C")
        terminal.keys("echo still $((40 + 2))\n")
        terminal.shows("still 42")
        terminal.keys("exit 3\n")
        assert terminal.ended() == 3
        assert terminal.modes == terminal.before, "the terminal is as it was"


def test_a_variable_without_a_value_is_asked_for(api: Api, kctl: Opened, image: str, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("name: asked\nservices: {web: {image: '${IMAGE:?which one}', command: 'sleep ${FOR:?how long}'}}")
    with kctl("plan", "-f", str(file), columns=160) as terminal:
        terminal.shows("IMAGE: ")
        terminal.keys(f"{image}\n")
        terminal.shows("FOR: ")
        terminal.keys("9\n")
        assert terminal.ended() == 0
        assert terminal.screen[0].startswith("The variable IMAGE is required: which one.")
        assert terminal.screen[-2:] == [
            f"{api.grid}/asked revision 1: 1 to create",
            "+ web: create, 1 instance on local-node",
        ]
