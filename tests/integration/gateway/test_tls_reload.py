"""A new certificate is used without a restart, and open connections live on."""

import socket
import ssl
from pathlib import Path

from cryptography import x509

from tests.integration.gateway.echo import Echo
from tests.integration.gateway.proxy import Gateway, eventually, running, settings
from tests.integration.gateway.wire import Connection
from tests.support.certificates import self_signed


def served(gateway: Gateway) -> int:
    """Serial number of the certificate that a new client is shown."""
    pem = ssl.get_server_certificate(("127.0.0.1", gateway.settings.port))
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def serial(certificate: Path) -> int:
    return x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number


def test_certificate_is_replaced_while_clients_stay(echo: Echo, tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    certificate, key = self_signed(folder)
    first = serial(certificate)
    config = settings(tmp_path, echo.port, tls_cert_file=certificate, tls_key_file=key)
    with running(config, tmp_path) as gateway:
        assert served(gateway) == first
        context = ssl.create_default_context(cafile=str(certificate))
        with (
            socket.create_connection(("127.0.0.1", config.port), timeout=60) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            connection = Connection(sock)
            for _ in range(3):
                self_signed(folder)
                second = serial(certificate)
                eventually(lambda wanted=second: served(gateway) == wanted, "the new certificate is shown")
                connection.send("GET", "/v1/grids")
                status, headers = connection.head()
                connection.body(headers)
                assert status == 200
                assert headers["strict-transport-security"] == "max-age=31536000"


def test_broken_certificate_leaves_the_old_one_in_use(echo: Echo, tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    certificate, key = self_signed(folder)
    config = settings(tmp_path, echo.port, tls_cert_file=certificate, tls_key_file=key)
    with running(config, tmp_path) as gateway:
        first = serial(certificate)
        (folder / "broken").write_text("no certificate")
        (folder / "broken").replace(certificate)
        eventually(lambda: gateway.counter("sds.certificate.key_rotation_failed") >= 1, "the broken file was read")
        assert served(gateway) == first
        self_signed(folder)
        second = serial(certificate)
        eventually(lambda: served(gateway) == second, "a good one is taken over")
