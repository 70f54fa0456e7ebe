"""What `make up` leaves on the machine, and what its commands say."""

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.sql import rows
from tests.support.suite import Api, Suite, soon

OURS = ("auth_svc", "grid_svc", "deploy_svc", "vault_svc", "engine", "exec_bridge", "agent")


def test_nobody_else_reads_what_the_suite_keeps(suite: Suite) -> None:
    assert stat.S_IMODE(suite.var.stat().st_mode) & 0o067 == 0, "others may not even pass, Postgres passes only"
    open_to_others = []
    for folder, names, files in os.walk(suite.var):
        if "postgres" in names:
            # Its files are its own business: nobody else gets there.
            names.remove("postgres")
            files.append("postgres")
        paths = [suite.var / folder / name for name in (*names, *files)]
        for path in paths:
            # The suite runs, so one may go away meanwhile.
            with contextlib.suppress(FileNotFoundError):
                open_to_others += [path.name] if path.stat().st_mode & 0o077 else []
    # A number, which circus makes readable.
    assert set(open_to_others) <= {"circus.pid"}


def test_processes_share_what_all_of_them_need(suite: Suite) -> None:
    for name in OURS:
        [pid] = suite.pids(name)
        shares = dict(re.findall(r"^(\w+): +(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE))
        # Memory that no file has: without the forks nobody else has it either.
        assert int(shares["Shared_Dirty"]) > 50_000, name
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"VAULT_KEY" not in environment
        assert b"CLUSTER_SECRET" not in environment


def test_a_process_that_dies_is_there_again(suite: Suite) -> None:
    [before] = suite.pids("engine")
    os.kill(before, signal.SIGKILL)
    soon(lambda: suite.pids("engine") not in ([], [before]), message="the engine runs again")
    serving = '"event": "serving"'
    soon(lambda: (suite.var / "logs" / "engine.log").read_text().count(serving) > 1, message="and works")


def test_postgres_reaches_its_files_all_the_same(suite: Suite) -> None:
    rows(suite, "CHECKPOINT")
    assert [row[0] for row in rows(suite, "SELECT 1")] == [1]


def test_a_revoked_token_is_replaced_and_says_who_made_it(suite: Suite, api: Api) -> None:
    path = suite.var / "master.env"
    kept = path.read_text()
    spoiled = kept.replace(api.token, "0" * 64)
    path.write_text(spoiled)
    try:
        suite.make("up")
        made = suite.api()
        assert made.token not in ("0" * 64, api.token)
        tokens = made.call("GET", "/oauth2/tokens")["tokens"]
        assert {"make up", "first login of this installation"} <= {token.get("description") for token in tokens}
        made.call("DELETE", f"/oauth2/tokens/{made.token}")
    finally:
        path.write_text(kept)


def test_make_up_says_a_line_per_step_and_no_json(suite: Suite) -> None:
    lines = suite.make("up").splitlines()
    parts = [line.split()[0] for line in lines[: lines.index("")]]
    assert parts == ["auth_svc", "grid_svc", "deploy_svc", "vault_svc", "exec_bridge", "gateway", "grid", "agent"]
    assert not any(line.startswith("{") for line in lines)
    assert "Running upgrade" in (suite.var / "logs" / "migrations.log").read_text()


@pytest.mark.parametrize(("form", "found"), [("", r"^\d\d:\d\d:\d\d\.\d{3} auth_svc +[a-z]+ +\S"), ("json", r"^\{")])
def test_make_logs_follows_all_processes(suite: Suite, form: str, found: str) -> None:
    env = {**suite.env, "FORMAT": form}
    command = [str(suite.folder / ".venv/bin/python"), "-m", "deploy.local", "logs"]
    with subprocess.Popen(command, cwd=suite.folder, env=env, stdout=subprocess.PIPE, text=True) as logs:
        assert logs.stdout is not None
        try:
            assert any(re.match(found, line) for line in logs.stdout)
        finally:
            logs.send_signal(signal.SIGINT)
    assert logs.returncode == 0


def local(suite: Suite, *words: str) -> str:
    """A command of `deploy.local` for this suite."""
    command: list[str | Path] = [suite.folder / ".venv/bin/python", "-m", "deploy.local", *words]
    done = subprocess.run(command, cwd=suite.folder, env=suite.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_bundle_for_whoever_helps_holds_no_secret(suite: Suite, api: Api, tmp_path: Path) -> None:
    api.call("POST", f"/v1/grids/{api.grid}/secrets", {"name": "BUNDLED", "value": "a value for no bundle"}, status=201)
    local(suite, "admin", "debug", "bundle", str(tmp_path / "bundle.tar.gz"))
    api.call("DELETE", f"/v1/secrets/{api.grid}/BUNDLED")
    with tarfile.open(tmp_path / "bundle.tar.gz") as tar:
        texts = {one.name.removeprefix("kontena-debug/"): tar.extractfile(one).read().decode() for one in tar}  # type: ignore[union-attr]
    assert json.loads(texts["health.json"]).keys() >= {f"grid_svc at 127.0.0.1:{suite.port_base + 2}"}
    assert set(json.loads(texts["health.json"]).values()) == {"SERVING"}
    database = json.loads(texts["database.json"])
    assert [node["name"] for node in database["grid"]["nodes"] if node["connected"]]
    assert all(database[name][f"{name}_revision"] for name in ("auth", "grid", "deploy", "vault"))
    assert "not known" not in texts["database.json"]
    assert "grpc_server_handled_total" in texts["metrics/grid.txt"]
    assert "serving" in texts["logs/grid_svc.log"]
    keys = [line.split("=", 1)[1] for line in (suite.var / "secrets.env").read_text().splitlines()]
    hidden = [*Api.secrets.patterns(), *keys, api.token]
    assert len(keys) == 5
    assert [name for name, text in texts.items() for secret in hidden if secret in text] == []
    assert json.loads(texts["settings.json"])["VAULT_KEY"] == "[redacted]"


def test_logs_become_detailed_without_a_restart(suite: Suite, api: Api) -> None:
    before = {name: suite.pids(name) for name in OURS}

    def lines(name: str, event: str) -> list[dict[str, str]]:
        text = (suite.var / "logs" / f"{name}.log").read_text()
        return [json.loads(line) for line in text.splitlines() if f'"event": "{event}"' in line]

    local(suite, "log-level", "debug")
    soon(lambda: all(lines(name, "log level changed")[-1]["to"] == "debug" for name in OURS))
    api.call("GET", f"/v1/grids/{api.grid}/nodes")
    soon(lambda: [one for one in lines("grid_svc", "rpc") if "ListNodes" in one["method"]], message="each call is told")
    local(suite, "log-level", "info")
    soon(lambda: all(lines(name, "log level changed")[-1]["to"] == "info" for name in OURS))
    assert {name: suite.pids(name) for name in before} == before
