"""A client whose machine is gone says nothing any more, not even that."""

import socket
import time
from contextlib import suppress

import pytest

from tests.integration.gateway.proxy import Gateway

pytestmark = pytest.mark.slow

# The preface of a connection and an empty SETTINGS frame (RFC 9113 section 3.4).
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
# Half a minute by the configuration, and what a busy machine takes.
_LONGEST_SECONDS = 45.0


def test_it_is_given_up_within_half_a_minute(gateway: Gateway) -> None:
    """Its streams end with it, which is how a lost node is noticed where heartbeats come seldom."""
    host, _, port = gateway.target.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=_LONGEST_SECONDS) as client:
        client.sendall(_HELLO)
        began = time.monotonic()
        with suppress(ConnectionResetError):
            while client.recv(65536):
                assert time.monotonic() - began < _LONGEST_SECONDS, "the gateway still speaks to it"
