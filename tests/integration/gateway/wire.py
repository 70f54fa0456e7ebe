"""HTTP on a bare socket: what a client library would hide."""

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Connection:
    """One HTTP/1.1 connection."""

    sock: socket.socket
    buffer: bytes = b""

    def send(self, method: str, path: str, **headers: str) -> None:
        lines = [
            f"{method} {path} HTTP/1.1",
            "host: test",
            *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items()),
        ]
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode())

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the next response."""
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        pairs = (line.partition(": ") for line in lines)
        return int(first.split()[1]), {name: value for name, _, value in pairs}

    def chunks(self) -> Iterator[bytes]:
        """The chunks of a chunked body, exactly as framed."""
        while size := int(self._until(b"\r\n"), 16):
            yield self._exactly(size + 2)[:-2]
        self._exactly(2)

    def body(self, headers: dict[str, str]) -> bytes:
        return self._exactly(int(headers["content-length"]))

    def _until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            self._more()
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self._more()
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionResetError("closed by the gateway")
        self.buffer += data


@contextmanager
def connect(target: str, source: str = "127.0.0.1") -> Iterator[Connection]:
    host, _, port = target.partition(":")
    with socket.create_connection((host, int(port)), timeout=60, source_address=(source, 0)) as sock:
        yield Connection(sock)


def http2_json(sock: socket.socket, path: str) -> tuple[int, object]:
    """GET over HTTP/2 with prior knowledge; understands just enough of RFC 9113 to read a small answer."""

    def literal(index: int, value: str) -> bytes:
        return bytes([index, len(value)]) + value.encode()

    # Indexed fields of the static table: `:method: GET` and `:scheme: http`; then `:path` and `:authority` by value.
    fields = b"\x82\x86" + literal(0x04, path) + literal(0x01, "test")
    settings = struct.pack(">I", 0)[1:] + b"\x04\x00" + struct.pack(">I", 0)
    headers = struct.pack(">I", len(fields))[1:] + b"\x01\x05" + struct.pack(">I", 1) + fields
    sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + headers)
    connection, status, data = Connection(sock), 0, b""
    while True:
        prefix = connection._exactly(9)
        length, kind, flags = int.from_bytes(prefix[:3], "big"), prefix[3], prefix[4]
        payload = connection._exactly(length)
        if kind == 1 and not status:
            # 8 is `:status: 200` and 13 `:status: 404` in the static table.
            indexed = next(byte for byte in payload if byte & 0xC0 == 0x80)
            status = {0x88: 200, 0x8D: 404}[indexed]
        elif kind == 0:
            data += payload
        if kind in (0, 1) and flags & 1:
            return status, json.loads(data)
