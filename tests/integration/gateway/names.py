"""A DNS server on loopback whose answers a test changes while clients ask."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.message
import dns.rdatatype
import dns.rrset


@dataclass
class Names:
    """IPv4 addresses by name; unknown names have none."""

    port: int = 0
    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def answer(self, wire: bytes) -> bytes:
        query = dns.message.from_wire(wire)
        (question,) = query.question
        reply = dns.message.make_response(query)
        found = self.addresses.get(question.name.to_text(omit_final_dot=True), ())
        if found and question.rdtype == dns.rdatatype.A:
            # An hour: that the answer may be kept so long must not matter.
            reply.answer.append(dns.rrset.from_text(question.name, 3600, "IN", "A", *found))
        return reply.to_wire()


@contextmanager
def serving() -> Iterator[Names]:
    """The server, until the block ends."""
    names = Names()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, sock = self.request
            sock.sendto(names.answer(wire), self.client_address)

    with socketserver.UDPServer(("127.0.0.1", 0), Handler) as server:
        names.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield names
        server.shutdown()
        thread.join(60)
