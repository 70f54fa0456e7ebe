"""Nobody reads a backup without its passphrase, and nothing that is not exactly what was written is believed."""

import io
import os

import pytest

from deploy.backup.records import End, Manifest, RecordWriter, Table, records
from deploy.backup.sealed_file import SealedWriter, Unreadable, unsealed

PASSPHRASE = "correct horse battery"
CHUNK, HEAD = 64 * 1024 + 16, 29
# What cannot be compressed, so that there are several chunks.
CONTENT = os.urandom(200_000)


def sealed(content: bytes = CONTENT) -> bytes:
    file = io.BytesIO()
    writer = SealedWriter(file, PASSPHRASE, cost=4)
    for start in range(0, len(content), 7_000):
        writer.write(content[start : start + 7_000])
    writer.close()
    return file.getvalue()


def read(data: bytes, passphrase: str = PASSPHRASE) -> bytes:
    return b"".join(unsealed(io.BytesIO(data), passphrase))


@pytest.mark.parametrize("content", [b"", b"x", CONTENT, bytes(1_000_000)])
def test_what_was_written_is_read(content: bytes) -> None:
    assert read(sealed(content)) == content


def test_a_wrong_passphrase_is_told() -> None:
    with pytest.raises(Unreadable, match="passphrase is wrong"):
        read(sealed(), "another passphrase")


def test_a_file_that_ends_early_does_not_open() -> None:
    """Also one that ends between two chunks."""
    data = sealed()
    for length in (HEAD + CHUNK, HEAD + 2 * CHUNK, HEAD + 2 * CHUNK + 5, len(data) - 1):
        with pytest.raises(Unreadable, match="damaged"):
            read(data[:length])


def test_a_file_with_something_added_does_not_open() -> None:
    with pytest.raises(Unreadable, match="damaged"):
        read(sealed() + b"x")


def test_no_byte_can_be_changed() -> None:
    data = sealed()
    for place in (5, 6, 20, 28, HEAD, HEAD + CHUNK, len(data) - 1):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(Unreadable):
            read(bytes(changed))


def test_chunks_stay_in_order_and_in_their_backup() -> None:
    data, other = sealed(), sealed()
    first, second = data[HEAD : HEAD + CHUNK], data[HEAD + CHUNK : HEAD + 2 * CHUNK]
    with pytest.raises(Unreadable):
        read(data[:HEAD] + second + first + data[HEAD + 2 * CHUNK :])
    with pytest.raises(Unreadable):
        read(data[: HEAD + CHUNK] + other[HEAD + CHUNK :])


def test_the_format_of_a_newer_release_is_named() -> None:
    data = bytearray(sealed())
    data[4] = 2
    with pytest.raises(Unreadable, match="format 2, made by a newer release"):
        read(bytes(data))


@pytest.mark.parametrize("data", [b"", b"KBAK", b"PGDMP" + bytes(100)])
def test_other_files_are_no_backups(data: bytes) -> None:
    with pytest.raises(Unreadable, match="no backup"):
        read(data)


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 12"):
        SealedWriter(io.BytesIO(), "short")


def test_nothing_of_the_content_can_be_read() -> None:
    assert b"secret" not in sealed(b"secret " * 1000)


async def test_records_come_back_in_order_whatever_the_pieces_are() -> None:
    file = io.BytesIO()
    writer = SealedWriter(file, PASSPHRASE, cost=4)
    out = RecordWriter(writer)
    manifest = Manifest("1.5.5", "2026-01-01T00:00:00+00:00", {"grid": "0001"}, {"VAULT_KEY": "k"})
    table, end = Table("grid", "nodes", ["id"], {"id": 7}), End({"grid.nodes": 2})
    out.manifest(manifest)
    out.table(table)
    await out.rows(b"1\n")
    await out.rows(b"2\n")
    out.end(end)
    writer.close()
    plain = read(file.getvalue())
    for size in (1, 3, len(plain)):
        pieces = (plain[start : start + size] for start in range(0, len(plain), size))
        assert list(records(pieces)) == [manifest, table, b"1\n", b"2\n", end]
    with pytest.raises(Unreadable, match="not complete"):
        list(records([plain[:-1]]))
    assert "VAULT_KEY" not in repr(manifest)
