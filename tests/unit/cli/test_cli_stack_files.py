"""What is sent to the master for a compose file or a stack file: what it names, from where it names it, and no more."""

from pathlib import Path

import pytest

from kontena_ctl.failures import Failure
from kontena_ctl.stack_files import gathered
from tests.support.stack_sources import projects


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("kind", "project", "first"),
    [("compose", "project", "compose.yaml"), ("kontena", "app", "kontena.yml"), ("kontena", "family", "kontena.yml")],
)
def test_all_files_of_a_project_are_found(tmp_path: Path, kind: str, project: str, first: str) -> None:
    files = projects(kind)[project]
    folder = written(tmp_path / project, {**files, "passwords.txt": "named by nobody"})
    found = gathered([str(folder / first)], environment={})
    assert found.files == files
    assert found.order == [first]
    assert found.beside == [name for name in found.files if name != first]


def test_a_file_that_may_be_missing_is_sent_when_it_is_there(tmp_path: Path) -> None:
    files = {
        "compose.yaml": "services: {web: {env_file: [{path: a.env, required: false}, {path: b.env, required: false}]}}",
        "b.env": "B=1",
    }
    found = gathered([str(written(tmp_path, files) / "compose.yaml")], environment={})
    assert found.files == files


def test_names_are_seen_from_where_the_master_sees_them(tmp_path: Path) -> None:
    files = {
        "main/compose.yaml": "services: {web: {extends: {file: ../common/web.yaml, service: web}}}",
        "common/web.yaml": "services: {web: {extends: {file: base.yaml, service: web}, env_file: ./web.env}}",
        "common/base.yaml": "services: {web: {image: x}}",
        "common/web.env": "WRONG=1",
        "main/web.env": "RIGHT=1",
        "main/.env": "TAG=1",
        "main/more.yaml": "services: {web: !override {image: y}}",
    }
    folder = written(tmp_path, files) / "main"
    found = gathered([str(folder / "compose.yaml"), str(folder / "more.yaml")], environment={})
    assert set(found.files) == {
        "compose.yaml",
        "more.yaml",
        "../common/web.yaml",
        "../common/base.yaml",
        "web.env",
        ".env",
    }
    assert found.order == ["compose.yaml", "more.yaml"]
    assert found.name == "main"


def test_contents_of_secrets_and_configs_are_sent(tmp_path: Path) -> None:
    files = {
        "compose.yaml": "services: {web: {image: x, secrets: [key, token], configs: [{source: app, target: /app}]}}\n"
        "secrets: {key: {file: ./tls/key.pem}, token: {environment: TOKEN}}\n"
        "configs: {app: {file: app.conf}, plain: {content: text}, unused: }\n",
        "tls/key.pem": "key",
        "app.conf": "conf",
    }
    found = gathered([str(written(tmp_path, files) / "compose.yaml")], environment={"TOKEN": "t", "OTHER": "o"})
    assert (found.files, found.variables) == (files, {"TOKEN": "t"})


def test_templates_name_files_as_well(tmp_path: Path) -> None:
    files = {
        "kontena.yml": "stack: me/shop:1\n{% if a == 'b' %}\nservices:\n  web:\n"
        "    extends: {file: base.yml, service: w}\n{% endif %}\n    cmd: {{ a }}\n",
        "base.yml": "services: {w: {image: x}}",
    }
    found = gathered([str(written(tmp_path, files) / "kontena.yml")], environment={})
    assert (found.files, found.name) == (files, "shop")


def test_the_environment_gives_what_the_files_ask_for_and_no_more(tmp_path: Path) -> None:
    environment = {"TAG": "7", "HOME": "/root", "DB": "x", "port": "1", "PLAIN": "2", "PRICE": "3"}
    compose = "name: ${TAG}-x\nservices: {web: {image: 'a:${TAG:-1}', cmd: $PLAIN, env: [A=$$PRICE]}}"
    found = gathered([str(written(tmp_path, {"compose.yaml": compose}) / "compose.yaml")], environment=environment)
    assert found.variables == {"TAG": "7", "PLAIN": "2"}
    assert found.name == "", "only the master knows it"
    stack = (
        "stack: me/shop\nvariables: {db: {from: {env: DB}}, port: {default: 2}, TAG: {from: {env: }}}\n"
        "services: {web: {image: 'x:${port}$HOME'}}"
    )
    found = gathered([str(written(tmp_path, {"kontena.yml": stack}) / "kontena.yml")], environment=environment)
    assert found.variables == {"DB": "x", "TAG": "7"}


def test_aliases_that_grow_without_end_are_looked_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    found = gathered([str(written(tmp_path, {"compose.yaml": "\n".join(lines)}) / "compose.yaml")], environment={})
    assert set(found.files) == {"compose.yaml"}


def test_no_yaml_is_for_the_master_to_tell(tmp_path: Path) -> None:
    found = gathered([str(written(tmp_path, {"compose.yaml": "a: [1\nb: {"}) / "compose.yaml")], environment={})
    assert set(found.files) == {"compose.yaml"}
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Failure, match="is no text"):
        gathered([str(tmp_path / "binary.yaml")], environment={})
