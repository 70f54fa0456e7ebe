"""What the master prints for a new machine is pasted as it is, and the machine is a node."""

import configparser
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.suite import Api, Suite, soon

NAME = "pasted-node"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What of a Debian the script writes to, and a systemctl that only remembers."""
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    systemctl = tmp_path / "bin/systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    systemctl.chmod(0o755)
    return tmp_path


def test_the_unit_makes_a_machine_a_node(suite: Suite, api: Api, root: Path) -> None:
    shown = api.call("GET", f"/v1/grids/{api.grid}/join")
    assert shown["uri"] == api.url
    script = shown["systemd"].replace("/etc/", f"{root}/etc/").replace("/opt/kontena", str(suite.folder))
    path = f"{root}/bin:{os.environ['PATH']}"
    subprocess.run(["sh"], input=script.encode(), env={"PATH": path}, check=True)
    assert (root / "asked").read_text().split("\n")[-3:] == ["enable kontena-agent", "restart kontena-agent", ""]
    written = list((root / "etc/kontena-agent").iterdir())
    assert {file.stat().st_mode & 0o077 for file in written} == {0}, "only root reads the token"

    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(root / "etc/systemd/system/kontena-agent.service")
    service = unit["Service"]
    lines = Path(service["EnvironmentFile"]).read_text().split()
    # A second agent on this machine: its engine has one already.
    own = {"KONTENA_NODE_ID": "PASTED:NODE", "KONTENA_RUNTIME": "hollow", "KONTENA_STATE_DIR": str(root / "state")}
    env = {"PATH": path, "KONTENA_NODE_NAME": NAME, **own, **dict(line.split("=", 1) for line in lines)}
    with (root / "agent.log").open("wb") as log:
        agent = subprocess.Popen(
            shlex.split(service["ExecStart"]), cwd=service["WorkingDirectory"], env=env, stdout=log, stderr=log
        )

    def joined() -> bool:
        assert agent.poll() is None, (root / "agent.log").read_text()
        return bool(api.call("GET", f"/v1/nodes/{api.grid}/{NAME}")["status"] == "online")

    try:
        soon(joined, message="the pasted node is online")
    finally:
        agent.terminate()
        agent.wait(60)
        soon(lambda: api.request("DELETE", f"/v1/nodes/{api.grid}/{NAME}").status_code in (200, 404))


def test_the_address_is_asked_for_where_it_is_not_known_or_another_one(api: Api) -> None:
    other = api.call("GET", f"/v1/grids/{api.grid}/join?uri=https://master.example:9292")
    assert other["uri"] == "https://master.example:9292"
    assert "KONTENA_URI=https://master.example:9292\n" in other["container"]
    answer = api.request("GET", f"/v1/grids/{api.grid}/join?uri=master")
    assert (answer.status_code, list(answer.json()["error"])) == (422, ["uri"])
