"""The authority of the suite: what it makes, and when it makes it anew."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from deploy import identities
from services.kernel.identity import Identity

ROOT = Path(__file__).parents[3]


def names(folder: Path) -> list[str]:
    certificate = x509.load_pem_x509_certificate((folder / "tls.crt").read_bytes())
    alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return alternative.get_values_for_type(x509.DNSName)


def test_each_part_gets_an_identity_once(tmp_path: Path) -> None:
    assert set(identities.ensure(tmp_path)) == set(identities.PARTS)
    for part in identities.PARTS:
        assert names(tmp_path / part) == [part]
        assert Identity(tmp_path / part).files().authority == (tmp_path / "authority" / "ca.crt").read_bytes()
    assert identities.ensure(tmp_path) == []


def test_keys_are_for_their_owner(tmp_path: Path) -> None:
    identities.ensure(tmp_path)
    keys = [*tmp_path.glob("*/tls.key"), tmp_path / "authority" / "ca.key"]
    assert len(keys) == len(identities.PARTS) + 1
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o400}


def test_what_is_old_lost_or_of_another_authority_is_made_anew(tmp_path: Path) -> None:
    identities.ensure(tmp_path)
    authority = identities.Authority(tmp_path / "authority")
    # It began five minutes ago, so a third of it is more than what is left.
    authority.issue(tmp_path / "gateway", "gateway", days=2 / 24 / 60)
    (tmp_path / "auth-svc" / "tls.key").unlink()
    identities.ensure(tmp_path / "other", ["grid-svc"])
    for name in ("tls.crt", "ca.crt"):
        (tmp_path / "other" / "grid-svc" / name).replace(tmp_path / "grid-svc" / name)
    assert identities.ensure(tmp_path) == ["auth-svc", "gateway", "grid-svc"]
    assert identities.ensure(tmp_path) == []


def test_an_authority_that_stands_behind_the_first_is_trusted_too(tmp_path: Path) -> None:
    """To replace an authority: both in one file, everything renewed, then the old one taken away."""
    identities.ensure(tmp_path, ["gateway"])
    identities.ensure(tmp_path / "new", [])
    own, new = tmp_path / "authority" / "ca.crt", tmp_path / "new" / "authority" / "ca.crt"
    both = own.read_bytes() + new.read_bytes()
    own.unlink()
    own.write_bytes(both)
    assert identities.ensure(tmp_path, ["gateway"]) == ["gateway"]
    assert Identity(tmp_path / "gateway").files().authority == both


def test_the_command_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert identities.main([str(tmp_path), "gateway"]) == 0
    assert capsys.readouterr().out == "identities: gateway has a new certificate\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["authority", "gateway"]


def test_in_a_container_the_keys_are_given_to_the_user_of_the_parts(tmp_path: Path) -> None:
    """With no right but the one to give files away, as deploy/compose.yaml lets it."""
    root = os.geteuid() == 0
    bare = ["setpriv", "--bounding-set=-all,+chown", "--inh-caps=-all,+chown", "--no-new-privs"] if root else []
    owner = 10001 if root else os.geteuid()
    command = [*bare, sys.executable, "-m", "deploy.identities", str(tmp_path), "gateway", "--owner", str(owner)]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        (tmp_path / "gateway" / "tls.crt").unlink()
    key = (tmp_path / "gateway" / "tls.key").stat()
    assert (key.st_uid, stat.S_IMODE(key.st_mode)) == (owner, 0o400)
