"""TLS towards the parts of the suite, by name and with a certificate of our own (services/kernel/identity.py). All
of it is read from files that are watched, so new ones need no restart."""

from pathlib import Path

from gateway.discovery import document
from gateway.settings import GatewaySettings
from gateway.typed import Config, extension, typed
from services.kernel.identity import AUTHORITY, CERTIFICATE, KEY

_IDENTITY, _AUTHORITY = "identity", "authority"
_FILES = {_IDENTITY: "mtls-identity.json", _AUTHORITY: "mtls-authority.json"}


def transport_socket(folder: Path, part: str, protocol: str) -> Config:
    """TLS 1.3 to the part of this name and to nobody else; the secrets are named by files in `folder`."""
    return extension(
        "envoy.transport_sockets.tls",
        "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni=part,
        # A resumed session would not be looked at with the certificates of now.
        max_session_keys=0,
        common_tls_context={
            "alpn_protocols": [protocol],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificate_sds_secret_configs": [_source(folder, _IDENTITY)],
            "combined_validation_context": {
                "default_validation_context": {
                    "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": part}}]
                },
                "validation_context_sds_secret_config": _source(folder, _AUTHORITY),
            },
        },
    )


def secrets(settings: GatewaySettings) -> dict[str, Config]:
    """The files that name certificate, key and authority, by name; none without TLS between the parts."""
    if settings.mtls_folder is None:
        return {}
    folder = settings.mtls_folder.absolute()
    watched = {"watched_directory": {"path": str(folder)}}
    pair = {"certificate_chain": _file(folder / CERTIFICATE), "private_key": _file(folder / KEY), **watched}
    trust = {"trusted_ca": _file(folder / AUTHORITY), **watched}
    return {
        _FILES[_IDENTITY]: _secret(_IDENTITY, tls_certificate=pair),
        _FILES[_AUTHORITY]: _secret(_AUTHORITY, validation_context=trust),
    }


def _source(folder: Path, name: str) -> Config:
    source = {"path_config_source": {"path": str(folder / _FILES[name])}, "resource_api_version": "V3"}
    return {"name": name, "sds_config": source}


def _secret(name: str, **content: Config) -> Config:
    return document([typed("extensions.transport_sockets.tls.v3.Secret", name=name, **content)])


def _file(path: Path) -> Config:
    return {"filename": str(path)}
