"""The Prometheus endpoint of a process."""

import hmac
import socket
import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import make_wsgi_app
from pydantic import SecretStr

from services.kernel.addresses import split


def serve(address: str, token: SecretStr | None) -> None:
    """Show the metrics of this process at `host:port` from now on: to whoever comes, or, with a token, to whoever has
    it. Loopback keeps nobody out: a container in the network of its node is there too."""
    host, port = split(address)
    app = make_wsgi_app()
    kind = _Server6 if ":" in host else _Server
    server = make_server(host, port, app if token is None else _guarded(app, token), kind, _Quiet)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


def _guarded(app: WSGIApplication, token: SecretStr) -> WSGIApplication:
    expected = f"Bearer {token.get_secret_value()}".encode()

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if hmac.compare_digest(environ.get("HTTP_AUTHORIZATION", "").encode("utf-8", "surrogateescape"), expected):
            return app(environ, start_response)
        start_response("401 Unauthorized", [("WWW-Authenticate", "Bearer")])
        return [b"The metrics need the token METRICS_TOKEN\n"]

    return answer


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name of the base class.
        """Scrapes are no news."""
