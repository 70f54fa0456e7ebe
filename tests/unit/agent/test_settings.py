"""Settings and addresses."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from agent.__main__ import main
from agent.settings import AgentSettings
from agent.streams.calls import parse_uri
from services.kernel.settings import variables


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("127.0.0.1:9292", ("127.0.0.1:9292", False)),
        ("master.example", ("master.example:9292", False)),
        ("http://master.example", ("master.example:80", False)),
        ("grpc://master:9292/", ("master:9292", False)),
        ("https://master.example", ("master.example:443", True)),
        ("grpcs://[::1]:9443", ("[::1]:9443", True)),
    ],
)
def test_addresses(uri: str, expected: tuple[str, bool]) -> None:
    assert parse_uri(uri) == expected


@pytest.mark.parametrize("uri", ["", "https://", "ftp://x:1"])
def test_addresses_that_are_none(uri: str) -> None:
    with pytest.raises(ValueError, match="names no host"):
        parse_uri(uri)


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "KONTENA_GRID_TOKEN": "tell-nobody",
        "KONTENA_NODE_LABELS": "a=1, b",
        "DOCKER_HOST": "",
        "LOG_LEVEL": "INFO",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = AgentSettings()
    assert settings.labels == ["a=1", "b"]
    assert settings.docker_host.startswith("unix://")
    assert settings.join_metadata == (("kontena-grid-token", "tell-nobody"),)
    assert "tell-nobody" not in repr(settings)


def test_variables_of_other_programs_mean_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KONTENA_GRID_TOKEN", "tell-nobody")
    monkeypatch.setenv("NETWORK", "10.0.0.0/8")
    monkeypatch.setenv("RUNTIME", "node")
    assert (AgentSettings().network, AgentSettings().runtime) == ("auto", "auto")


def test_a_wrong_value_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KONTENA_GRID_TOKEN", "tell-nobody")
    monkeypatch.setenv("KONTENA_STATS_SECONDS", "often")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    assert main([]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in said] == ["LOG_LEVEL", "KONTENA_STATS_SECONDS"]


def test_a_token_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KONTENA_GRID_TOKEN", raising=False)
    with pytest.raises(ValidationError, match="KONTENA_GRID_TOKEN"):
        AgentSettings()


def test_a_token_from_a_file_or_descriptor_is_never_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("KONTENA_GRID_TOKEN", raising=False)
    path = tmp_path / "token"
    path.write_text("tell-nobody\n")
    monkeypatch.setenv("KONTENA_GRID_TOKEN_FILE", str(path))
    assert AgentSettings().join_metadata == (("kontena-grid-token", "tell-nobody"),)
    reading, writing = os.pipe()
    os.write(writing, b"tell-nobody-either")
    os.close(writing)
    monkeypatch.delenv("KONTENA_GRID_TOKEN_FILE")
    monkeypatch.setenv("KONTENA_NODE_TOKEN_FILE", f"/dev/fd/{reading}")
    settings = AgentSettings()
    os.close(reading)
    assert settings.join_metadata == (("kontena-node-token", "tell-nobody-either"),)
    assert "tell-nobody" not in repr(settings)


@pytest.mark.parametrize("content", [None, "", " \n", "\xff\xfe"])
def test_a_file_without_a_token_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    monkeypatch.delenv("KONTENA_GRID_TOKEN", raising=False)
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content, encoding="latin-1")
    monkeypatch.setenv("KONTENA_GRID_TOKEN_FILE", str(path))
    with pytest.raises(ValidationError, match="KONTENA_GRID_TOKEN_FILE") as caught:
        AgentSettings()
    assert str(path) in str(caught.value)
    assert "\xff" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_of_certificates_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("KONTENA_GRID_TOKEN", "tell-nobody")
    monkeypatch.setenv("KONTENA_CA_FILE", str(path))
    assert main([]) == 2
    said = capsys.readouterr().err
    assert said.startswith("KONTENA_CA_FILE: ")
    assert str(path) in said


def test_containers_are_removed_without_a_token_but_not_of_a_node_that_never_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KONTENA_GRID_TOKEN", raising=False)
    monkeypatch.setenv("KONTENA_STATE_DIR", str(tmp_path / "elsewhere"))
    assert main(["remove-containers"]) == 1
    assert "KONTENA_STATE_DIR" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_every_setting_stands_in_the_operations_guide() -> None:
    page = (Path(__file__).parents[3] / "docs/operations/nodes.md").read_text()
    section = page.partition("## More nodes")[2].partition("\n## ")[0]
    names = {name for field in variables(AgentSettings) for name in field}
    assert {name for name in names if f"`{name}`" not in section} == set()


@pytest.mark.parametrize("uri", ["master.example:9292", "http://10.0.0.1", "grpc://[2001:db8::1]:9292"])
def test_plain_text_to_another_machine_is_refused_unless_allowed_by_name(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KONTENA_URI", uri)
    monkeypatch.setenv("KONTENA_GRID_TOKEN", "t" * 20)
    with pytest.raises(ValueError, match="KONTENA_PLAIN_TEXT_HOSTS=") as caught:
        AgentSettings()
    host = str(caught.value).partition("KONTENA_PLAIN_TEXT_HOSTS=")[2].split()[0]
    monkeypatch.setenv("KONTENA_PLAIN_TEXT_HOSTS", f"other, {host}")
    assert AgentSettings().uri == uri


@pytest.mark.parametrize("uri", ["127.0.0.1:9292", "localhost", "[::1]:9292", "https://master.example"])
def test_tls_and_this_machine_need_no_word(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KONTENA_URI", uri)
    monkeypatch.setenv("KONTENA_GRID_TOKEN", "t" * 20)
    assert AgentSettings().uri == uri
