"""`kctl` on the running suite: every command does what it says on real containers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kontena_ctl.resources import ALL
from tests.e2e.auth_people import configured
from tests.support.containers import Docker
from tests.support.kctl import Kctl
from tests.support.suite import Api, soon

LOOP = ["sh", "-c", "trap exit TERM; echo hello from $HOSTNAME; sleep 100000 & wait"]
GROUPS = {"certificate": "cert", "domain": "cert domain", "entry": ""}


@pytest.fixture
def file(api: Api, image: str, docker: Docker, tmp_path: Path) -> Iterator[Path]:
    """The document of a stack with two services, which is gone afterwards."""
    common = {"image": image, "cmd": LOOP, "stop_grace_period": "0s"}
    services = [
        {"name": "db", "stateful": True, **common},
        {"name": "web", "stateful": False, "instances": 2, **common},
    ]
    document = {"name": "shop", "stack": "me/shop", "version": "0.1.0", "registry": "file://", "services": services}
    path = tmp_path / "stack.json"
    path.write_text(json.dumps(document))
    yield path
    soon(lambda: api.request("DELETE", f"/v1/stacks/{api.grid}/shop").status_code in (200, 404))
    soon(lambda: docker.all(f"{api.grid}/shop/web") == [], message="its containers are gone")
    soon(lambda: api.request("GET", f"/v1/stacks/{api.grid}/shop").status_code == 404)


def changed(file: Path, **web: Any) -> str:
    """The file with another service `web`."""
    document = json.loads(file.read_text())
    document["services"][1] |= web
    file.write_text(json.dumps(document))
    return str(file)


def test_a_stack_from_its_plan_to_its_end(api: Api, docker: Docker, kctl: Kctl, file: Path) -> None:
    planned = kctl.ok("plan", "-f", str(file))
    assert planned.lines[0] == f"{api.grid}/shop revision 1: 2 to create"
    refused = kctl("deploy", "-f", str(file))
    assert (refused.code, refused.out) == (2, "")
    assert "add --yes" in refused.err
    assert api.request("GET", f"/v1/stacks/{api.grid}/shop").status_code == 404, "nothing was done"

    done = kctl.ok("deploy", "-f", str(file), "-y")
    assert done.out == ""
    assert done.err.splitlines()[-1] == "stack shop is deployed"
    assert "shop/web: done, 2 of 2 instances on local-node" in done.err
    assert len(docker.running(f"{api.grid}/shop/web")) == 2
    assert kctl.ok("ps", "--stack", "shop", "-o", "name").lines == ["shop/db", "shop/web"]
    assert [line.split()[:3] for line in kctl.ok("ps", "web").lines[1:]] == [
        ["shop.web-1", "running", "-"],
        ["shop.web-2", "running", "-"],
    ]
    assert {"shop/db is as it shall be", "shop/web is as it shall be"} <= set(kctl.ok("wait", "shop").err.splitlines())
    assert kctl.ok("explain", "web").out.startswith("All is as it shall be: 2 run")

    soon(lambda: len(kctl.ok("logs", "shop", "--grep", "hello", "-o", "json").lines) == 3)
    searched = kctl.ok("logs", "shop", "--search", "FROM WEB-2").lines
    assert [line.split(": ")[1] for line in searched] == ["hello from web-2"]
    assert {line.split(": ")[1] for line in kctl.ok("logs", "web").lines} == {
        "hello from web-1",
        "hello from web-2",
    }
    ran = kctl("exec", "--instance", "2", "web", "--", "sh", "-c", "echo $HOSTNAME; echo oops >&2; exit 7")
    assert (ran.code, ran.out, ran.err) == (7, "web-2\n", "oops\n")

    scaled = kctl.ok("scale", "web", "1", "-o", "json", "--progress", "quiet")
    assert scaled.document["state"] == "success"
    assert scaled.err == "service shop/web is deployed\n"
    soon(lambda: len(docker.running(f"{api.grid}/shop/web")) == 1)

    assert "shop/web is as it shall be" in kctl.ok("stop", "web").err
    assert docker.running(f"{api.grid}/shop/web") == {}
    assert kctl.ok("explain", "web").out == "It was stopped: kctl start shop/web\n"
    kctl.ok("start", "shop/web")
    before = docker.running(f"{api.grid}/shop/web")
    kctl.ok("restart", "web")
    soon(lambda: docker.running(f"{api.grid}/shop/web").keys() == before.keys() != {})
    soon(lambda: docker.running(f"{api.grid}/shop/web") != before, message="it has started again")
    assert any("finished" in line for line in kctl.ok("events", "shop").lines)
    assert kctl.ok("stack", "rm", "shop", "-y").err == "removed stack shop\n"


def test_a_deploy_that_cannot_be_placed(api: Api, kctl: Kctl, file: Path) -> None:
    path = changed(file, affinity=["label==az=b"])
    planned = kctl("plan", "-f", path)
    assert planned.code == 3
    assert "Cannot place local/shop/web-1: " in planned.out
    done = kctl("deploy", "-f", path, "-y")
    assert done.code == 3
    assert "label==az=b" in done.err.splitlines()[-2]
    assert done.err.splitlines()[-1] == "  kctl explain shop/web"
    assert "label==az=b" in kctl.ok("explain", "web").out


def test_a_deploy_whose_image_is_not_there(kctl: Kctl, file: Path) -> None:
    done = kctl("deploy", "-f", changed(file, image="127.0.0.1:1/nowhere:1"), "-y", "-o", "json")
    assert done.code == 3
    assert done.document["state"] == "error"
    assert "127.0.0.1:1/nowhere" in done.err


def test_a_deploy_that_is_never_healthy_takes_too_long(kctl: Kctl, file: Path) -> None:
    path = changed(file, deploy_opts={"wait_for_port": 9})
    done = kctl("deploy", "-f", path, "-y", "--timeout", "1s", "-o", "name")
    assert done.code == 5
    id_ = done.out.strip()
    assert f"the deploy goes on: kctl wait stacks/local/shop --deploy {id_}" in done.err
    again = kctl("wait", "stacks/local/shop", "--deploy", id_, "--timeout", "0s")
    assert again.code == 5
    assert kctl("cancel", "shop").code == 2, "nobody is there to ask"
    assert f"canceled deploy {id_}: " in kctl.ok("cancel", "shop", "-y").err
    ended = kctl("wait", "shop", "--deploy", id_)
    assert ended.code == 3
    assert ended.err.splitlines()[-1].startswith("the deploy of stack shop was canceled: ")
    [told] = kctl.ok("history", "shop").lines[1:]
    assert told.split()[0] == id_
    assert " canceled " in told
    assert " admin " in told
    assert kctl.ok("history", "shop", "-o", "json").document["deploys"][0]["id"] == id_
    nothing = kctl("cancel", "shop", "-y")
    assert (nothing.code, nothing.err) == (1, "error: No deploy of shop goes on.\n  kctl history shop\n")


def test_a_deploy_that_is_rolled_back(api: Api, docker: Docker, kctl: Kctl, file: Path) -> None:
    kctl.ok("deploy", "-f", changed(file, deploy_opts={"rollback": True}), "-y", "--progress", "quiet")
    before = docker.running(f"{api.grid}/shop/web")
    done = kctl("deploy", "-f", changed(file, image="127.0.0.1:1/nowhere:1"), "-y")
    assert done.code == 4
    assert done.err.splitlines()[-1] == "the deploy of stack shop failed; shop/web went back to what ran before"
    assert docker.running(f"{api.grid}/shop/web") == before
    left = kctl.ok("deploy", "web", "--no-wait", "-o", "name")
    assert "goes on: kctl wait services/local/shop/web --deploy " in left.err
    assert kctl("wait", "web", "--deploy", left.out.strip()).code == 4
    assert "there are: 1." in kctl("rollback", "shop", "--to", "7", "-y").err
    back = kctl.ok("rollback", "shop", "-y")
    assert back.err.splitlines()[0].startswith("revision 1 of admin, ")
    assert back.err.splitlines()[-1] == "stack shop is deployed"
    assert kctl.ok("history", "shop", "-n", "1").lines[1].split()[-3:-1] == ["rollback", "1"]
    of_the_stack = [line.split() for line in kctl.ok("revisions", "shop").lines[1:]]
    assert [(one[0], *one[2:]) for one in of_the_stack] == [
        ("3", "admin", "web:image"),
        ("2", "admin", "web:image"),
        ("1", "admin", "-"),
    ]
    assert kctl.ok("revisions", "web", "-n", "1", "-o", "json").document["revisions"][0]["author"] == "admin"
    assert kctl.ok("revisions", "shop", "-o", "name").lines == ["3", "2", "1"]


def test_a_command_in_a_container_of_its_own(api: Api, docker: Docker, image: str, kctl: Kctl, file: Path) -> None:
    kctl.ok("deploy", "-f", changed(file, env=["OF_WEB=1"], ports=[]), "-y", "--progress", "quiet")
    told = ["sh", "-c", "echo $OF_WEB $MORE $HOSTNAME; echo oops >&2; exit 7"]
    ran = kctl("run", "--like", "shop/web", "-e", "MORE=2", "--on", "local-node", "--", *told)
    assert (ran.code, ran.err) == (7, "oops\n")
    of_web, more, host = ran.out.split()
    assert (of_web, more) == ("1", "2")
    service = host.removesuffix("-1")
    soon(lambda: docker.all(f"{api.grid}/null/{service}") == [], message="its container is gone")
    alone = kctl("run", "--image", image, "-o", "json", "--shell", "echo alone")
    assert (alone.document["stdout"], alone.document["exit_code"]) == ("alone\n", 0)
    failed = kctl("run", "--image", "127.0.0.1:1/nowhere:1", "true")
    assert (failed.code, failed.out) == (3, "")
    assert "127.0.0.1:1/nowhere" in failed.err
    assert kctl("run", "true").code == 2
    soon(lambda: [name for name in kctl.ok("ps", "-o", "name").lines if name.startswith("run-")] == [])


def test_a_grid_of_one_node_has_nothing_to_move(kctl: Kctl) -> None:
    told = "Nothing to move: every service lies evenly on its nodes"
    assert kctl.ok("rebalance", "--plan").lines == [told]
    assert kctl.ok("rebalance").err.splitlines() == [told]


def test_the_plan_that_was_shown_is_the_one_that_is_carried_out(api: Api, kctl: Kctl, file: Path) -> None:
    """Names that are wrong, files that are wrong: nothing happens."""
    (file.parent / "broken.json").write_text("{")
    assert kctl("deploy", "-f", str(file.parent / "broken.json")).code == 2
    assert kctl("deploy", "-f", str(file.parent / "none.json")).code == 2
    assert kctl("deploy").code == 2
    wrong = kctl("deploy", "-f", changed(file, ports="no list"), "-y")
    assert wrong.code == 1
    assert "POST /v1/" in wrong.err
    assert "ports" in wrong.err
    assert api.request("GET", f"/v1/stacks/{api.grid}/shop").status_code == 404


@pytest.mark.parametrize("resource", ALL, ids=lambda resource: resource.name)
def test_lists_in_every_format(api: Api, kctl: Kctl, resource: Any) -> None:
    group = GROUPS.get(resource.name, resource.name)
    words = [*group.split(), "ls"] if group else ["audit"]
    document = kctl.ok(*words, "-o", "json").document
    assert resource.plural in document
    names = kctl.ok(*words, "-o", "name").lines
    if resource.name != "entry":
        assert names == sorted(resource.key(one) for one in document[resource.plural])
    assert yaml.safe_load(kctl.ok(*words, "-o", "yaml").out).keys() == document.keys()
    titles = [column.title for column in resource.columns]
    assert kctl.ok(*words, "-o", "wide").lines[0].split("  ")[0] == titles[0]


def test_nodes(kctl: Kctl) -> None:
    [name] = kctl.ok("node", "ls", "-o", "name").lines
    labels = kctl.ok("node", "label", name, "az=b", "disk=ssd", "-o", "json").document["labels"]
    assert {"az=b", "disk=ssd"} <= set(labels)
    assert "az=b" not in kctl.ok("node", "label", name, "az-", "disk-", "-o", "json").document["labels"]
    assert kctl.ok("node", "drain", name, "-o", "json").document["availability"] == "drain"
    assert kctl.ok("node", "activate", name, "-o", "json").document["availability"] == "active"
    assert kctl.ok("node", "show", name, "-o", "json").document["name"] == name
    assert kctl.ok("node", "health", name, "-o", "json").document["connected"] is True
    assert "KONTENA" in kctl.ok("node", "join").out
    typo = kctl("node", "show", "local-nod")
    assert typo.code == 1
    assert f"did you mean {name}?" in typo.err


def test_configs_come_from_stdin_and_are_listed_with_their_size(kctl: Kctl) -> None:
    kctl.ok("config", "set", "cli.conf", stdin="a = 1\n\n")
    assert kctl.ok("config", "get", "cli.conf").out == "a = 1\n\n"
    assert "cli.conf" in kctl.ok("config", "ls", "-o", "name").lines
    kctl.ok("config", "rm", "cli.conf", "-y")
    assert "cli.conf" not in kctl.ok("config", "ls", "-o", "name").lines


def test_secrets_come_from_stdin_and_go_to_stdout_byte_for_byte(kctl: Kctl) -> None:
    kctl.ok("secret", "set", "CLI_PASSWORD", stdin=" s3cret of the cli\n\n")
    assert kctl.ok("secret", "get", "CLI_PASSWORD").out == " s3cret of the cli\n\n"
    assert "CLI_PASSWORD" in kctl.ok("secret", "ls", "-o", "name").lines
    kctl.ok("secret", "rm", "CLI_PASSWORD", "-y")
    gone = kctl("secret", "get", "CLI_PASSWORD")
    assert (gone.code, gone.out) == (1, "")


def test_grids_volumes_registries_users_and_tokens(api: Api, kctl: Kctl) -> None:
    kctl.ok("grid", "create", "cli-grid", "--trusted-subnet", "10.0.0.0/8")
    assert (
        kctl.ok("grid", "update", "cli-grid", "--host-access", "members", "-o", "json").document["host_access"]
        == "members"
    )
    token = kctl.ok("grid", "token", "-g", "cli-grid").out
    assert kctl.ok("grid", "token", "-g", "cli-grid", "--rotate", "-y").out != token
    assert kctl.ok("user", "members", "-g", "cli-grid", "-o", "name").lines == ["admin"]
    assert kctl.ok("user", "add", "admin", "-g", "cli-grid", "-o", "name").lines == ["admin"]
    assert "master_admin" in kctl.ok("user", "grant", "admin", "master_admin").out
    kctl.ok("grid", "rm", "cli-grid", "-y")

    kctl.ok("volume", "create", "cli-data", "--scope", "grid")
    assert kctl.ok("volume", "show", "cli-data", "-o", "json").document["scope"] == "grid"
    kctl.ok("volume", "rm", "cli-data", "-y")

    kctl.ok("registry", "add", "https://registry.cli.example/", "-u", "bot", stdin="pw-of-the-cli\n")
    kctl.ok("registry", "rm", "registry.cli.example", "-y")

    refused = kctl("user", "invite", "cli@example.com")
    assert refused.code == 1
    assert "501: server_error: Authentication provider not configured" in refused.err

    with configured(api):
        invited = kctl.ok("user", "invite", "cli@example.com")
    assert f"--invite {invited.out.strip()}" in invited.err
    assert kctl.ok("user", "grant", "cli@example.com", "viewer", "-o", "json").document["roles"][0]["name"] == "viewer"
    assert kctl.ok("user", "revoke", "cli@example.com", "viewer", "-o", "json").document["roles"] == []
    assert kctl.ok("user", "add", "cli@example.com", "-o", "name").lines == ["admin", "cli@example.com"]
    assert kctl.ok("user", "remove", "cli@example.com", "-o", "name").lines == ["admin"]
    kctl.ok("user", "rm", "cli@example.com", "-y")

    made = kctl.ok("token", "create", "--description", "cli", "-o", "json").document
    assert kctl.ok("token", "show", made["id"], "-o", "json").document["description"] == "cli"
    kctl.ok("token", "rm", made["id"], "-y")


def test_logging_in_keeps_a_context_that_is_used_from_then_on(
    api: Api, kctl: Kctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KONTENA_URL", "KONTENA_TOKEN", "KONTENA_GRID"):
        monkeypatch.delenv(name)
    alone = kctl("ps")
    assert alone.code == 1
    assert "kctl login URL" in alone.err
    kctl.ok("login", api.url, "--token", "-", "--name", "here", "-g", api.grid, stdin=f"{api.token}\n")
    assert kctl.ok("user", "whoami", "-o", "name").out == "admin\n"
    code = kctl.ok("token", "create", "--code", "-o", "json").document["code"]
    kctl.ok("login", api.url, "--code", code, "--name", "again")
    assert kctl.ok("ctx", "ls", "-o", "name").lines == ["again", "here"]
    kctl.ok("ctx", "use", "here")
    kctl.ok("ctx", "rm", "again")
    refused = kctl("login", api.url, "--code", "nonsense")
    assert refused.code == 1
    assert "does not accept it" in refused.err
    kctl.ok("ctx", "add", "other", api.url, "--token", "-", stdin="wrong\n")
    unknown = kctl("ps", "--ctx", "other", "-g", api.grid)
    assert unknown.code == 1
    assert "401" in unknown.err
    assert "kctl login URL" in unknown.err


def test_raw_calls_and_errors_name_what_was_asked_and_which_attribute_is_wrong(api: Api, kctl: Kctl) -> None:
    assert kctl.ok("api", "get", "/v1/user").document["email"] == "admin"
    assert kctl.ok("api", "GET", "/v1/grids/{grid}").document["name"] == api.grid
    wrong = kctl("api", "POST", "/v1/grids/{grid}/services", "-d", '{"name": "A B", "image": "x", "stateful": false}')
    assert wrong.code == 1
    assert f"POST /v1/grids/{api.grid}/services was answered with 422: wrong attribute\n  name: " in wrong.err
    assert kctl("api", "POST", "/v1/grids", "-d", "{").code == 2
    assert kctl.ok("status").out.startswith("master: ")
    assert kctl.ok("version").out.startswith("kontena-ctl: ")
    assert kctl.ok("top").lines[0].startswith("CONTAINER")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_names(kctl: Kctl, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A person waits a third of a second for names; this is not about how fast they come.
    monkeypatch.setattr("kontena_ctl.completions.LIMIT_SECONDS", 60.0)
    assert "_KCTL_COMPLETE" in kctl.ok("completion", shell).out

    assert "deploy" in kctl.completed(shell, "kctl dep")
    assert "local-node" in kctl.completed(shell, "kctl node show lo")
    monkeypatch.setenv("KONTENA_URL", "http://127.0.0.1:1")
    assert "local-node" not in kctl.completed(shell, "kctl node show lo"), "of another master"
