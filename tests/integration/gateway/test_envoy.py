"""Starting Envoy as the guide says, and what is said when it cannot run."""

import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from gateway.render import write
from gateway.settings import REPOSITORY
from tests.integration.gateway.echo import Echo
from tests.integration.gateway.proxy import Gateway, eventually, settings


def test_two_gateways_start_on_one_machine_as_the_guide_says(echo: Echo, tmp_path: Path) -> None:
    found = re.search(r"start it with `python (.+?)`", (REPOSITORY / "gateway" / "README.md").read_text())
    assert found is not None
    with ExitStack() as stack:
        for name in ("first", "second"):
            config = settings(tmp_path, echo.port, access_log_path="")
            write(config, tmp_path / name)
            words = [sys.executable, *found[1].replace("OUT", str(tmp_path / name)).split()]
            process = subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
            eventually(Gateway(config).healthy, f"the {name} gateway is healthy")
            assert process.poll() is None


def test_a_machine_without_inotify_instances_is_told_so(tmp_path: Path) -> None:
    none_left = 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", none_left, "sh"]
    done = subprocess.run(
        [*command, sys.executable, "-m", "gateway.envoy", str(tmp_path / "envoy.json")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done
    assert "fs.inotify.max_user_instances" in done.stderr
    assert "sysctl" in done.stderr
