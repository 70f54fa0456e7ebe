"""Envoy's admin interface, on a UNIX socket."""

import socket
from pathlib import Path

import httpx


def admin_client(path: Path) -> httpx.Client:
    """A client of what listens at `path`. Raises ConnectError while nobody does: httpcore would leak the socket with
    which it finds that out, and the warning would fail whatever test is next."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError as error:
            raise httpx.ConnectError(f"{path}: {error}") from error
    return httpx.Client(base_url="http://admin", transport=httpx.HTTPTransport(uds=str(path)))
