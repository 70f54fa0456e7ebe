"""What fluentd is to an agent: a TCP server that reads events of the forward protocol."""

import socket
import struct
import threading
from contextlib import suppress
from typing import Any, BinaryIO, cast

from tests.support.ports import free_port


class Fluentd:
    """Keeps (tag, seconds, record) of every event. `close` also breaks the connections."""

    def __init__(self, port: int = 0) -> None:
        # One that nobody else is given while it is closed, and that no connection to it can have at its near end.
        self._listener = socket.create_server(("127.0.0.1", port or free_port()))
        self._connections: list[socket.socket] = []
        self.port = int(self._listener.getsockname()[1])
        self.events: list[tuple[str, int, dict[str, Any]]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rb") as stream:
                while True:
                    tag, seconds, record = unpacked(cast(BinaryIO, stream))
                    self.events.append((tag, seconds, record))
        except (OSError, EOFError, ValueError):
            return

    def close(self) -> None:
        """Nobody listens any more."""
        # Closing alone does not wake a thread that waits in accept.
        for each in (self._listener, *self._connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def unpacked(stream: BinaryIO) -> Any:
    """The next MessagePack value: of its types those that JSON has, without floats. Raises EOFError at the end."""
    code = _exactly(stream, 1)[0]
    if code < 0x80:
        return code
    if code < 0x90:
        return _map(stream, code & 0x0F)
    if code < 0xA0:
        return [unpacked(stream) for _ in range(code & 0x0F)]
    if code < 0xC0:
        return _exactly(stream, code & 0x1F).decode()
    sized = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xDE: ">H", 0xDF: ">I"}
    (number,) = struct.unpack(sized[code], _exactly(stream, struct.calcsize(sized[code])))
    if code in (0xD9, 0xDA, 0xDB):
        return _exactly(stream, number).decode()
    return _map(stream, number) if code in (0xDE, 0xDF) else number


def _map(stream: BinaryIO, size: int) -> dict[Any, Any]:
    return {unpacked(stream): unpacked(stream) for _ in range(size)}


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data
