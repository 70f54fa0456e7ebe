"""The file of a backup: one stream, compressed, then encrypted with a passphrase in chunks.

    "KBAK" | version(1) = 01 | log2 of the scrypt cost(1) | salt(16) | prefix(7) | chunk ...

The key is scrypt (RFC 7914, r = 8, p = 1) of the passphrase. Each chunk is AES-256-GCM of up to 64 KiB, with the nonce
prefix | number of the chunk(4) | 1 for the last one, 0 for others(1), and the whole head as associated data: a chunk
that was changed, moved, left out, or taken from another backup does not open, nor does a file that ends early.
"""

import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

SHORTEST_PASSPHRASE = 12
VERSION = 1
_MAGIC = b"KBAK"
_COST, _MOST_COST = 17, 22
_SALT, _PREFIX, _TAG = 16, 7, 16
_HEAD = len(_MAGIC) + 2 + _SALT + _PREFIX
_CHUNK = 64 * 1024


class Unreadable(Exception):
    """No backup, of a newer version, damaged, or another passphrase. Says which, never more."""


def check_passphrase(passphrase: str) -> None:
    """Raises ValueError for one that is too short."""
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise ValueError(f"a passphrase needs at least {SHORTEST_PASSPHRASE} characters")


class SealedWriter:
    """Writes a backup into `file`; complete only after `close`. `cost` is the base-2 logarithm of scrypt's n."""

    def __init__(self, file: BinaryIO, passphrase: str, *, cost: int = _COST) -> None:
        check_passphrase(passphrase)
        self._file = file
        # Chance is not a parameter: a nonce that is used twice opens both.
        self._head = _MAGIC + bytes((VERSION, cost)) + os.urandom(_SALT) + os.urandom(_PREFIX)
        self._cipher = _cipher(self._head, passphrase)
        self._packer = zlib.compressobj()
        self._waiting = bytearray()
        self._number = 0
        file.write(self._head)

    def write(self, data: bytes) -> None:
        """Add to the stream."""
        self._waiting += self._packer.compress(data)
        while len(self._waiting) > _CHUNK:
            self._seal(bytes(self._waiting[:_CHUNK]), last=False)
            del self._waiting[:_CHUNK]

    def close(self) -> None:
        """Write what waits, and the mark of the end."""
        self._waiting += self._packer.flush()
        while len(self._waiting) > _CHUNK:
            self._seal(bytes(self._waiting[:_CHUNK]), last=False)
            del self._waiting[:_CHUNK]
        self._seal(bytes(self._waiting), last=True)

    def _seal(self, plain: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._head, self._number, last=last), plain, self._head))
        self._number += 1


def unsealed(file: BinaryIO, passphrase: str) -> Iterator[bytes]:
    """The stream of a backup, piece by piece. Raises Unreadable, at the latest where the file is wrong."""
    head = file.read(_HEAD)
    _check(head)
    cipher, unpacker, number = _cipher(head, passphrase), zlib.decompressobj(), 0
    chunk = file.read(_CHUNK + _TAG)
    while True:
        following = file.read(_CHUNK + _TAG)
        try:
            plain = cipher.decrypt(_nonce(head, number, last=not following), chunk, head)
        except InvalidTag:
            raise Unreadable(_wrong(number)) from None
        yield unpacker.decompress(plain)
        if not following:
            return
        chunk, number = following, number + 1


def _wrong(number: int) -> str:
    if number == 0:
        return "the passphrase is wrong, or the backup is damaged"
    return "the backup is damaged: it was changed, or is not complete"


def _check(head: bytes) -> None:
    if len(head) < _HEAD or not head.startswith(_MAGIC):
        raise Unreadable("this is no backup of an installation")
    version, cost = head[len(_MAGIC)], head[len(_MAGIC) + 1]
    if version > VERSION:
        raise Unreadable(f"this backup has format {version}, made by a newer release; this one knows up to {VERSION}")
    if version != VERSION or not 0 < cost <= _MOST_COST:
        # With a larger cost it would take gigabytes of memory to find out that the file is damaged.
        raise Unreadable("this backup is damaged")


def _cipher(head: bytes, passphrase: str) -> AESGCM:
    salt = head[len(_MAGIC) + 2 : -_PREFIX]
    kdf = Scrypt(salt=salt, length=32, n=1 << head[len(_MAGIC) + 1], r=8, p=1)
    return AESGCM(kdf.derive(passphrase.encode()))


def _nonce(head: bytes, number: int, *, last: bool) -> bytes:
    return head[-_PREFIX:] + number.to_bytes(4, "big") + bytes((last,))
