"""The files of an identity are followed, and what is no good leaves the one before in use."""

from pathlib import Path

import pytest

from deploy import identities
from services.kernel import identity
from services.kernel.identity import Identity


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(identity, "_LOOK_AGAIN_SECONDS", -1.0)
    identities.ensure(tmp_path, ["gateway", "auth-svc"])
    return tmp_path / "gateway"


def test_a_new_certificate_counts(folder: Path) -> None:
    known = Identity(folder)
    before = known.files()
    identities.Authority(folder.parent / "authority").issue(folder, "gateway")
    assert known.files() != before
    assert known.files().certificate == (folder / "tls.crt").read_bytes()


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "ca.crt"])
@pytest.mark.parametrize("content", [b"", b"no PEM", None])
def test_what_is_no_good_is_refused_at_the_start_and_ignored_later(
    folder: Path, name: str, content: bytes | None
) -> None:
    known = Identity(folder)
    before = known.files()
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    assert known.files() == before
    with pytest.raises(ValueError, match=f"MTLS_FOLDER: .*{name}"):
        Identity(folder)


def test_a_key_of_another_certificate_is_refused(folder: Path) -> None:
    (folder / "tls.key").unlink()
    (folder / "tls.key").write_bytes((folder.parent / "auth-svc" / "tls.key").read_bytes())
    with pytest.raises(ValueError, match="is not the key of"):
        Identity(folder)


def test_no_key_is_shown(folder: Path) -> None:
    assert "PRIVATE" not in repr(Identity(folder).files())
