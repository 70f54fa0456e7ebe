"""TLS of the public port. The certificate arrives through a watched file, so a new one needs no restart."""

from pathlib import Path

from gateway.discovery import document
from gateway.settings import GatewaySettings
from gateway.typed import Config, extension, typed

SECRET = "certificate"  # noqa: S105 -- a name.
FILE = "tls.json"


def transport_socket(folder: Path) -> Config:
    """TLS 1.2 or later with the certificate that the file in `folder` names; clients choose HTTP/2 by ALPN."""
    source = {"path_config_source": {"path": str(folder / FILE)}, "resource_api_version": "V3"}
    return extension(
        "envoy.transport_sockets.tls",
        "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificate_sds_secret_configs": [{"name": SECRET, "sds_config": source}],
        },
    )


def secrets(settings: GatewaySettings) -> Config | None:
    """The file that names the certificate; None without TLS. What is moved into the certificate's folder is read."""
    certificate, key = settings.tls_cert_file, settings.tls_key_file
    if certificate is None or key is None:
        return None
    pair = {
        "certificate_chain": {"filename": str(certificate.absolute())},
        "private_key": {"filename": str(key.absolute())},
        "watched_directory": {"path": str(certificate.absolute().parent)},
    }
    return document([typed("extensions.transport_sockets.tls.v3.Secret", name=SECRET, tls_certificate=pair)])
