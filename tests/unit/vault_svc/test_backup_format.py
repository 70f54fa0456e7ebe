import pytest

from services.vault_svc.domain.backup import Contents, Unreadable, check_passphrase, decrypt, encrypt

CONTENTS = Contents("alpha", secrets=[{"name": "A", "value": "é\n"}])
PASSPHRASE = "correct horse battery"


def test_what_was_exported_comes_back() -> None:
    assert decrypt(encrypt(CONTENTS, PASSPHRASE, cost=4), PASSPHRASE) == CONTENTS
    assert "é" not in repr(CONTENTS)


def test_two_exports_look_different() -> None:
    assert encrypt(CONTENTS, PASSPHRASE, cost=4) != encrypt(CONTENTS, PASSPHRASE, cost=4)


@pytest.mark.parametrize("position", [0, 4, 5, 6, 30, 40, -1])
def test_a_changed_byte_anywhere_is_noticed(position: int) -> None:
    data = bytearray(encrypt(CONTENTS, PASSPHRASE, cost=4))
    data[position] ^= 1
    with pytest.raises(Unreadable):
        decrypt(bytes(data), PASSPHRASE)


def test_what_is_no_export_or_has_another_passphrase_is_refused() -> None:
    data = encrypt(CONTENTS, PASSPHRASE, cost=4)
    for wrong, phrase in ((b"", PASSPHRASE), (data[:34], PASSPHRASE), (data, "another passphrase")):
        with pytest.raises(Unreadable):
            decrypt(wrong, phrase)
    for cost in (0, 23, 255):
        with pytest.raises(Unreadable, match="damaged"):
            decrypt(data[:5] + bytes([cost]) + data[6:], PASSPHRASE)
    with pytest.raises(ValueError, match="at least 12"):
        check_passphrase("short")
