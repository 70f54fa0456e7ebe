"""`kctl` with compose files and stack files: what they name is sent along, what they need is made, what is wrong is
told at its place; what runs is what they say."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.containers import Docker
from tests.support.kctl import Kctl
from tests.support.suite import Api, soon

LOOP = 'sh -c "trap exit TERM; while :; do sleep 1; done"'


@pytest.fixture
def stacks(api: Api, docker: Docker) -> Iterator[list[str]]:
    """Names of stacks that are gone afterwards, the last one first, with their volumes, secrets and configs."""
    names: list[str] = []
    yield names
    for name in reversed(names):
        path = f"/v1/stacks/{api.grid}/{name}"
        soon(lambda path=path: api.request("DELETE", path).status_code in (200, 404))
        soon(lambda path=path: api.request("GET", path).status_code == 404, message="the stack is gone")
        for volume in api.call("GET", f"/v1/volumes/{api.grid}")["volumes"]:
            if volume["name"].startswith(f"{name}-"):
                api.call("DELETE", f"/v1/volumes/{volume['id']}")
        api.request("DELETE", f"/v1/secrets/{api.grid}/{name}-password")
        api.request("DELETE", f"/v1/configs/{api.grid}/{name}-app")


def test_a_compose_file_with_all_that_it_names(
    api: Api, docker: Docker, image: str, kctl: Kctl, stacks: list[str], tmp_path: Path
) -> None:
    stacks.append("filed")
    folder = tmp_path / "filed"
    (folder / "common").mkdir(parents=True)
    (folder / "compose.yaml").write_text(
        "services:\n"
        "  db: {image: '${IMAGE:?which one}', command: '%s', volumes: ['data:/data'], stop_grace_period: 0s}\n"
        "  web: {extends: {file: common/web.yaml, service: web}, env_file: [web.env], command: '%s'}\n"
        "volumes: {data: }\n" % ((LOOP,) * 2)
    )
    (folder / "common/web.yaml").write_text("services: {web: {image: '${IMAGE}', stop_grace_period: 0s}}")
    (folder / "web.env").write_text("FROM_FILE=1\nCHOSEN=${CHOICE:-none}\n")
    file = str(folder / "compose.yaml")

    missing = kctl("plan", "-f", file)
    assert missing.code == 1
    assert "services.db.image: The variable IMAGE is required: which one." in missing.err
    assert missing.err.splitlines()[-1] == "  --set IMAGE=VALUE"
    planned = kctl.ok("plan", "-f", file, "--set", f"IMAGE={image}")
    assert planned.lines == ["+ volume filed-data: create"]
    assert "with common/web.yaml, web.env" in planned.err
    assert api.call("GET", f"/v1/volumes/{api.grid}")["volumes"] == [], "nothing is written"

    done = kctl.ok("deploy", "-f", file, "--set", f"IMAGE={image}", "-y", "--progress", "quiet")
    assert done.err.splitlines()[-1] == "stack filed is deployed"
    assert {"FROM_FILE=1", "CHOSEN=none"} <= set(docker.one(f"{api.grid}/filed/web")["Config"]["Env"])
    [mount] = docker.one(f"{api.grid}/filed/db")["Mounts"]
    assert mount["Destination"] == "/data"
    assert kctl.ok("plan", "-f", file).lines[0] == f"{api.grid}/filed revision 1: 2 to keep", "it keeps its values"

    again = kctl.ok("deploy", "filed", "--set", "CHOICE=other", "-y", "--progress", "quiet")
    assert "~ web: change" in again.err
    assert "  db: keep" in again.err
    soon(lambda: "CHOSEN=other" in docker.one(f"{api.grid}/filed/web")["Config"]["Env"])


def test_secrets_and_configs_of_a_compose_file_are_written_first(
    api: Api, docker: Docker, image: str, kctl: Kctl, stacks: list[str], tmp_path: Path
) -> None:
    stacks.append("written")
    (tmp_path / "compose.yaml").write_text(
        f"name: written\nservices:\n  web: {{image: '{image}', command: '{LOOP}', stop_grace_period: 0s, "
        "secrets: [password], configs: [{source: app, target: /etc/app.conf}]}\n"
        "secrets: {password: {file: ./password}}\nconfigs: {app: {file: ./app.conf}}\n"
    )
    (tmp_path / "password").write_text("a-password-of-a-file")
    (tmp_path / "app.conf").write_text("one\n")
    file = str(tmp_path / "compose.yaml")
    planned = kctl.ok("plan", "-f", file)
    assert planned.lines == ["+ secret written-password: write", "+ config written-app: write"]
    done = kctl.ok("deploy", "-f", file, "-y", "--progress", "quiet")
    assert "a-password-of-a-file" not in done.out + done.err
    both = ("sh", "-c", "cat /etc/app.conf /run/secrets/password")
    assert kctl.ok("exec", "written/web", "--", *both).out == "one\na-password-of-a-file"

    (tmp_path / "app.conf").write_text("two\n")
    (tmp_path / "password").unlink()
    again = kctl.ok("plan", "-f", file)
    assert "~ config written-app: write" in again.err
    assert again.lines[0] == f"{api.grid}/written revision 2: 1 to keep", "the stack keeps its files"
    before = docker.running(f"{api.grid}/written/web")
    kctl.ok("deploy", "-f", file, "-y", "--progress", "quiet")
    soon(lambda: kctl("exec", "written/web", "--", *both).out == "two\na-password-of-a-file")
    assert docker.running(f"{api.grid}/written/web") != before
    unchanged = kctl.ok("deploy", "-f", file, "-y", "--progress", "quiet")
    assert "write" not in unchanged.err, "it says the same"

    (tmp_path / "compose.yaml").write_text(
        f"name: written\nservices: {{web: {{image: '{image}', configs: [{{source: nowhere, target: /x}}]}}}}\n"
        "configs: {nowhere: {external: true}}\n"
    )
    refused = kctl("deploy", "-f", file, "-y")
    assert refused.code == 1
    assert "kctl config set nowhere <FILE" in refused.err


def test_what_is_wrong_in_a_file_is_told_at_its_place(kctl: Kctl, image: str, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(f"name: wrong\nservices: {{web: {{image: '{image}', build: ., env_file: '${{A:-no}}.env'}}}}")
    refused = kctl("deploy", "-f", str(file), "-y")
    assert refused.code == 1
    assert "services.web.build: Images are not built here" in refused.err
    assert "services.web.env_file: The file no.env was not sent" in refused.err
    assert "--include FILE" in refused.err
    (tmp_path / "no.env").write_text("A=1")
    taken = kctl.ok("plan", "-f", str(file), "--include", str(tmp_path / "no.env"), "--ignore-unsupported")
    assert "warning: services.web.build: " in taken.err
    assert taken.lines[0].endswith("1 to create")
    piped = kctl.ok("plan", "-f", "-", "--name", "piped", stdin=f"services: {{web: {{image: '{image}'}}}}")
    assert piped.lines[0].endswith("/piped revision 1: 1 to create")
    assert kctl("plan", "-f", str(file), "--set", "nothing").code == 2
    assert kctl("plan", "-f", str(tmp_path / "none.yaml")).code == 2


def test_a_stack_file_with_the_stack_it_depends_on_and_a_secret(
    api: Api, docker: Docker, image: str, kctl: Kctl, stacks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks += ["family", "family-store"]
    common = f"image: '{image}', cmd: '{LOOP}', stop_grace_period: 0s"
    (tmp_path / "kontena.yml").write_text(
        "stack: me/family\n"
        "variables:\n"
        "  greeting: {type: string, from: {env: GREETING_OF_THE_CLI}}\n"
        "  password: {from: {vault: '${STACK}-password', random_string: 24}, to: {vault: '${STACK}-password'}}\n"
        "depends: {store: {stack: store.yml}}\n"
        f"services: {{web: {{{common}, environment: ['GREETING=${{greeting}}'],"
        " secrets: [{secret: '${STACK}-password', name: PASSWORD, type: env}]}}\n"
    )
    (tmp_path / "store.yml").write_text(f"stack: me/store\nservices: {{db: {{{common}}}}}\n")
    file = str(tmp_path / "kontena.yml")
    without = kctl("plan", "-f", file)
    assert "  --set greeting=VALUE" in without.err.splitlines()
    monkeypatch.setenv("GREETING_OF_THE_CLI", "welcome")
    document = kctl.ok("plan", "-f", file, "-o", "json").document
    assert document["secrets"] == [{"name": "family-password"}], "no value"
    assert [one["name"] for one in document["dependencies"]] == ["family-store"]

    done = kctl.ok("deploy", "-f", file, "-y", "--progress", "quiet")
    told = done.err.splitlines()
    assert [line for line in told if line.endswith("is deployed")] == [
        "stack family-store is deployed",
        "stack family is deployed",
    ]
    environment = dict(one.partition("=")[::2] for one in docker.one(f"{api.grid}/family/web")["Config"]["Env"])
    assert environment["GREETING"] == "welcome"
    assert environment["PASSWORD"] == kctl.ok("secret", "get", "family-password").out
    assert len(environment["PASSWORD"]) == 24
    assert environment["PASSWORD"] not in done.out + done.err
    assert docker.one(f"{api.grid}/family-store/db")["State"]["Running"]
