"""Log lines as events of the fluentd forward protocol (docs/spec/orchestration.md section 9.3)."""

import struct
from collections.abc import Mapping
from typing import NamedTuple

_DEFAULT_PORT = 24224
_ADDRESS = "fluentd-address"


class Endpoint(NamedTuple):
    """Where fluentd listens."""

    host: str
    port: int


def endpoint(forwarder: str, opts: Mapping[str, str]) -> Endpoint | None:
    """Where a grid wants its logs: `host`, `host:port` or `tcp://host:port`; None when nowhere, or nowhere we know."""
    address = opts.get(_ADDRESS, "").removeprefix("tcp://").strip("/")
    if forwarder != "fluentd" or not address:
        return None
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, str(_DEFAULT_PORT)
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 1 << 16:
        return None
    return Endpoint(host.strip("[]"), int(port))


def event(tag: str, seconds: int, record: Mapping[str, str | int]) -> bytes:
    """One event in MessagePack: `[tag, time, record]`."""
    members = b"".join(_packed(key) + _packed(value) for key, value in record.items())
    return b"\x93" + _packed(tag) + _packed(seconds) + b"\xdf" + struct.pack(">I", len(record)) + members


def _packed(value: str | int) -> bytes:
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value)
    data = value.encode("utf-8", "replace")
    return b"\xdb" + struct.pack(">I", len(data)) + data
