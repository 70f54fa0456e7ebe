"""Nothing of a call is decoded before its caller is known, and no message is larger than its method takes.

The server runs in a process of its own, so that its memory and its work are what is measured. Work is CPU time: a
busy machine makes everything late, but not more.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from google.protobuf.descriptor import Descriptor

from kontena.deploy.v1 import service_pb2
from kontena.grid.v1 import node_session_pb2
from services.kernel.elements import MOST_ELEMENTS
from services.kernel.failed_tokens import PER_MINUTE

REPOSITORY = Path(__file__).parents[3]
CREATE = "/kontena.deploy.v1.ServiceService/CreateService"
CONNECT = "/kontena.grid.v1.NodeSessionService/Connect"
MEBIBYTE = 1 << 20
GOOD = (("authorization", "Bearer good"),)


@dataclass
class Server:
    process: psutil.Process
    channel: grpc.Channel

    def create(self, raw: bytes, *metadata: tuple[str, str], **options: Any) -> Any:
        call: Any = self.channel.unary_unary(CREATE)
        with pytest.raises(grpc.RpcError) as caught:
            call(raw, timeout=60, metadata=metadata, **options)
        return caught.value

    def connect(self, raw: bytes) -> Any:
        call: Any = self.channel.stream_stream(CONNECT)
        return call(iter([raw]), timeout=60)

    def used(self) -> tuple[float, float]:
        """MiB of memory, seconds of work."""
        times = self.process.cpu_times()
        return self.process.memory_info().rss / MEBIBYTE, times.user + times.system


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One for all tests: each measures what it adds itself."""
    command = [sys.executable, "-m", "tests.integration.kernel.bare_service"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        try:
            with grpc.insecure_channel(address) as channel:
                found = Server(psutil.Process(process.pid), channel)
                request = service_pb2.CreateServiceRequest(service=service_pb2.ServiceSpec(image="redis"))
                create: Any = channel.unary_unary(CREATE)
                answer = create(request.SerializeToString(), timeout=60, metadata=GOOD)
                assert service_pb2.Service.FromString(answer).image == "redis"
                yield found
        finally:
            process.terminate()


def nested(message: Descriptor, outer: str, inner: str, size: int) -> bytes:
    """A message that holds `size` bytes of empty elements: two bytes each."""
    field = message.fields_by_name[outer]
    assert field.message_type is not None
    content = bytes([field.message_type.fields_by_name[inner].number << 3 | 2, 0]) * (size // 2)
    return bytes([field.number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    encoded = b""
    while number > 0x7F:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def links(size: int) -> bytes:
    """A new service with nothing but empty links."""
    return nested(service_pb2.CreateServiceRequest.DESCRIPTOR, "service", "links", size)


def test_what_strangers_send_is_not_decoded(server: Server) -> None:
    memory, work = server.used()
    packed = links(16 * MEBIBYTE - 100)
    for _ in range(3):
        error = server.create(packed, compression=grpc.Compression.Gzip)
        assert error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED)
    for _ in range(10):
        assert server.create(links(4 * MEBIBYTE)).code() is grpc.StatusCode.UNAUTHENTICATED
    after = server.used()
    assert after[0] - memory < 64, "MiB"
    assert after[1] - work < 1.5, "seconds of work"


def test_who_guesses_tokens_is_told_to_wait_and_nobody_else_is(server: Server) -> None:
    def show(token: str, source: str) -> Any:
        return server.create(b"", ("authorization", f"Bearer {token}"), ("x-forwarded-for", source))

    codes = [show(f"guess{n}", "192.0.2.1").code() for n in range(PER_MINUTE)]
    assert codes == [grpc.StatusCode.UNAUTHENTICATED] * PER_MINUTE
    # Each second that passes there may be one more.
    more = (show("guess", "192.0.2.1") for _ in range(2 * PER_MINUTE))
    refusal = next(error for error in more if error.code() is not grpc.StatusCode.UNAUTHENTICATED)
    trailing = dict(refusal.trailing_metadata())
    assert (refusal.code(), trailing["x-http-status"]) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "429")
    assert 0 < int(trailing["retry-after"]) <= 60
    assert show("guess", "192.0.2.2").code() is grpc.StatusCode.UNAUTHENTICATED


def test_compressed_messages_are_refused_of_everybody(server: Server) -> None:
    error = server.create(links(1000), *GOOD, compression=grpc.Compression.Gzip)
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "gzip" in (error.details() or "")


def test_a_message_above_the_limit_of_its_method_is_told_so(server: Server) -> None:
    error = server.create(links(513 * 1024), *GOOD)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details() == "The request is larger than the 512 KiB this call takes"
    assert dict(error.trailing_metadata())["x-http-status"] == "413"


def test_many_small_elements_are_refused_before_they_are_made(server: Server) -> None:
    memory, work = server.used()
    for _ in range(10):
        error = server.create(links(500 * 1024), *GOOD)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error.details() == f"The request has more than {MOST_ELEMENTS} elements"
    after = server.used()
    assert after[0] - memory < 64, "MiB"
    assert after[1] - work < 3, "seconds of work"


def test_bytes_that_are_no_message_are_a_bad_request(server: Server) -> None:
    for raw in (b"\xff\xff\xff", b"\xff" * (2 * MOST_ELEMENTS + 10)):
        error = server.create(raw, *GOOD)
        assert (error.code(), error.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "Invalid request")


def test_the_first_message_of_an_agent_is_small(server: Server) -> None:
    """Anybody may open this stream."""
    request = node_session_pb2.ConnectRequest.DESCRIPTOR
    memory, work = server.used()
    for _ in range(14):
        with pytest.raises(grpc.RpcError) as caught:
            next(server.connect(nested(request, "hello", "labels", 15 * MEBIBYTE)))
        refused: Any = caught.value
        assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    after = server.used()
    assert after[0] - memory < 64, "MiB"
    assert after[1] - work < 3, "seconds of work"
    answer = next(server.connect(nested(request, "hello", "labels", 60_000)))
    assert node_session_pb2.ConnectResponse.FromString(answer).node.node_number == 30_000
