"""What `make up` leaves on the machine, and what its commands say."""

import os
import re
import signal
import stat
import subprocess

import pytest

from tests.support.sql import rows
from tests.support.suite import Api, Suite


def test_nobody_else_reads_what_the_suite_keeps(suite: Suite) -> None:
    assert stat.S_IMODE(suite.var.stat().st_mode) & 0o067 == 0, "others may not even pass, Postgres passes only"
    open_to_others = []
    for folder, names, files in os.walk(suite.var):
        if "postgres" in names:
            # Its files are its own business: nobody else gets there.
            names.remove("postgres")
            files.append("postgres")
        paths = [suite.var / folder / name for name in (*names, *files)]
        open_to_others += [path.name for path in paths if path.stat().st_mode & 0o077]
    # A number, which circus makes readable.
    assert set(open_to_others) <= {"circus.pid"}


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
        assert {"make up", "first login of this installation"} <= {token["description"] for token in tokens}
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
