"""Traffic and what it measures, as a program of its own that runs in any network namespace.

`serve ADDRESS PORT` | `stream ADDRESS PORT SECONDS` | `echo ADDRESS PORT SECONDS` | `dns SERVER NAME SECONDS`. All but
the first print one object of JSON.
"""

import json
import socket
import struct
import sys
import threading
import time

_STREAM, _ECHO = b"s", b"e"
_BLOCK = 1 << 18
_PING = b"x" * 64
_TYPE_A = 1
# As a busy node asks: many clients, each with one question.
_ASKED_AT_ONCE = 32
_QUESTIONS = 1 << 16


def serve(address: str, port: int) -> None:
    """Take what others stream, and echo."""
    listener = socket.create_server((address, port))
    print("ready", flush=True)  # noqa: T201
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if connection.recv(1) == _ECHO:
            while data := connection.recv(len(_PING)):
                connection.sendall(data)
            return
        buffer, total = bytearray(_BLOCK), 0
        while size := connection.recv_into(buffer):
            total += size
        connection.sendall(struct.pack("!Q", total))


def stream(address: str, port: int, seconds: float) -> dict[str, float]:
    """Bits per second of one TCP connection, of what has arrived."""
    with socket.create_connection((address, port), timeout=30) as connection:
        connection.sendall(_STREAM)
        block, started = bytes(_BLOCK), time.monotonic()
        while time.monotonic() - started < seconds:
            connection.sendall(block)
        connection.shutdown(socket.SHUT_WR)
        [arrived] = struct.unpack("!Q", connection.recv(8, socket.MSG_WAITALL))
        return {"bits": 8 * arrived / (time.monotonic() - started)}


def echo(address: str, port: int, seconds: float) -> dict[str, float]:
    """Seconds there and back, one after the other."""
    with socket.create_connection((address, port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(_ECHO)
        found, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            started = time.perf_counter()
            connection.sendall(_PING)
            connection.recv(len(_PING), socket.MSG_WAITALL)
            found.append(time.perf_counter() - started)
    found.sort()
    return {"p50": found[len(found) // 2], "p99": found[int(len(found) * 0.99)]}


def dns(server: str, name: str, seconds: float) -> dict[str, float]:
    """Answers with an address per second, and how many of the questions got another answer or none."""
    labels = b"".join(struct.pack("B", len(label)) + label.encode() for label in name.split("."))
    question = labels + b"\0" + struct.pack("!HH", _TYPE_A, 1)
    answered = failed = sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1.0)
        asking.connect((server, 53))
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            while sent - answered - failed < _ASKED_AT_ONCE:
                asking.send(struct.pack("!HHHHHH", sent % _QUESTIONS, 0x0100, 1, 0, 0, 0) + question)
                sent += 1
            try:
                answer = asking.recv(2048)
            except TimeoutError:
                failed = sent - answered
                continue
            _, flags, _, found, _, _ = struct.unpack("!HHHHHH", answer[:12])
            if flags & 0x000F == 0 and found > 0:
                answered += 1
            else:
                failed += 1
        took = time.monotonic() - started
    return {"rate": answered / took, "failed": failed / sent}


def main(verb: str, address: str, target: str, *seconds: str) -> None:
    """See above."""
    if verb == "serve":
        serve(address, int(target))
    elif verb == "dns":
        print(json.dumps(dns(address, target, float(seconds[0]))))  # noqa: T201
    else:
        measure = {"stream": stream, "echo": echo}[verb]
        print(json.dumps(measure(address, int(target), float(seconds[0]))))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
