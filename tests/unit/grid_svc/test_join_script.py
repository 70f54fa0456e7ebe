"""The scripts that let a machine join say all that its agent needs, and nothing that a shell would take for more."""

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from services.grid_svc.domain.join_script import Master, container, master, systemd
from services.grid_svc.settings import Settings

CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
TOKEN = 'it\'s "a" $(token) `with` \\all of it!'


def in_container(grid: str, token: str, master: Master) -> str:
    return container(grid, token, master, "kontena/agent:1")


@pytest.mark.parametrize("form", [systemd, in_container])
def test_every_form_is_a_script_with_token_and_trust(form: Callable[[str, str, Master], str]) -> None:
    script = form("alpha", TOKEN, Master("https://master.example:9292", CA))
    subprocess.run(["sh", "-n"], input=script.encode(), check=True)
    line = next(line for line in script.splitlines() if line.startswith("printf"))
    assert shlex.split(line)[2] == TOKEN
    assert CA in script
    assert "KONTENA_CA_FILE=/etc/kontena-agent/master-ca.pem\n" in script
    assert "KONTENA_URI=https://master.example:9292\n" in script
    assert "PLAIN_TEXT" not in script


def test_without_tls_the_script_says_what_that_means_and_allows_it_for_this_host() -> None:
    script = systemd("alpha", "t", Master("http://10.0.0.1:9292", ""))
    assert "# Without TLS whoever listens on the way reads the token and all secrets." in script
    assert "KONTENA_PLAIN_TEXT_HOSTS=10.0.0.1\n" in script
    assert "master-ca" not in script


@pytest.mark.parametrize(
    ("uri", "fits"),
    [
        ("https://master.example:9292", True),
        ("https://master.example", True),
        ("http://10.0.0.1:80/", True),
        ("https://[2001:db8::1]:9292", True),
        ("master.example:9292", False),
        ("https://", False),
        ("https://a b", False),
        ("https://a/$(reboot)", False),
        ("https://a\nEND_OF_FILE", False),
        ("https://a:99999", False),
        ("https://user:password@a", False),
        ("ftp://a", False),
    ],
)
def test_only_addresses_of_gateways_get_into_a_script(uri: str, fits: bool) -> None:
    assert (master(uri, "") is not None) is fits


def settings(**given: object) -> Settings:
    return Settings(database_url="postgresql://x", cluster_secret="0123456789abcdef", **given)  # type: ignore[arg-type]


def test_only_certificates_of_the_file_get_into_a_script(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(f"subject=someone\nEND_OF_FILE\nreboot\n{CA}\nBag Attributes\n{CA}\n")
    assert settings(master_ca_file=file).master_ca() == f"{CA}\n{CA}"
    assert settings().master_ca() == ""
    file.write_text("-----BEGIN PRIVATE KEY-----\n")
    with pytest.raises(ValueError, match="has no certificate"):
        settings(master_ca_file=file).master_ca()
    with pytest.raises(ValueError, match="https://HOST:PORT"):
        settings(master_url="master:9292")
