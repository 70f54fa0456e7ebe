"""Puts the whole Envoy configuration together and writes it."""

import json
import os
from pathlib import Path

from google.protobuf import descriptor_pb2

from gateway import catalog, clusters, mtls, tls
from gateway.connections import answering_clusters, answering_listeners, bootstrap_extensions
from gateway.filters import http_filters
from gateway.listener import listeners
from gateway.metrics import admin_address, metrics_clusters, metrics_listeners
from gateway.openapi.document import document
from gateway.own_answers import facts
from gateway.reference import reference_answers
from gateway.routes import virtual_host
from gateway.settings import GatewaySettings
from gateway.tracing import trace_clusters
from gateway.typed import Config, extension

# Routes list RPCs in regular expressions; the default limit (100) is meant for expressions from untrusted sources.
_RUNTIME = {"re2": {"max_program_size": {"error_level": 100_000, "warn_level": 100_000}}}


def bootstrap(settings: GatewaySettings, descriptors: descriptor_pb2.FileDescriptorSet, folder: Path) -> Config:
    """The configuration as a value; equal inputs give equal results. Upstreams and certificate are in files of their
    own in `folder`. Raises ValueError when the protos do not fit."""
    services = catalog.services(descriptors)
    check_upstreams(services, settings)
    filters = http_filters(settings, services, descriptors)
    own = [*facts(), *reference_answers(document(settings, descriptors))]
    ports = listeners(settings, virtual_host(settings, services, own), filters, folder)
    upstreams = {"path_config_source": {"path": str(folder / clusters.FILE)}, "resource_api_version": "V3"}
    return {
        # A name is needed to follow files.
        "node": {"id": "gateway", "cluster": "kontena"},
        "admin": {"address": admin_address(settings)},
        "static_resources": {
            "listeners": [*ports, *metrics_listeners(settings), *answering_listeners(settings)],
            "clusters": [*metrics_clusters(settings), *trace_clusters(settings), *answering_clusters(settings)],
        },
        "bootstrap_extensions": bootstrap_extensions(settings),
        "dynamic_resources": {"cds_config": upstreams},
        "overload_manager": connection_limit(settings),
        "layered_runtime": {"layers": [{"name": "static", "static_layer": _RUNTIME}]},
    }


def check_upstreams(services: tuple[catalog.Service, ...], settings: GatewaySettings) -> None:
    """Raises ValueError for a routed service whose process has no address in the settings."""
    for service in services:
        if service.routed and service.upstream not in settings.upstreams:
            raise ValueError(f"service {service.name}: no setting for upstream {service.upstream}")


def connection_limit(settings: GatewaySettings) -> Config:
    """Connections beyond the limit are closed at once, so that accepted ones stay served."""
    return {
        "resource_monitors": [
            extension(
                "envoy.resource_monitors.global_downstream_max_connections",
                "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                max_active_downstream_connections=settings.connection_limit,
            )
        ]
    }


def write(settings: GatewaySettings, target: Path) -> None:
    """Write `target` and the files it names beside it. A running Envoy takes over the addresses of upstreams and the
    certificate at once, everything else when it starts again."""
    folder = target.absolute().parent
    config = bootstrap(settings, catalog.load_descriptors(settings.descriptors), folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings.admin_socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate = tls.secrets(settings)
    if certificate is not None:
        replace(folder / tls.FILE, certificate)
    for name, secret in mtls.secrets(settings).items():
        replace(folder / name, secret)
    replace(folder / clusters.FILE, clusters.clusters(settings, folder))
    replace(target, config)


def replace(target: Path, content: Config) -> None:
    """Put a file in place in one step, so that a reader never sees half of it."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_text(json.dumps(content, indent=1) + "\n")
    partial.replace(target)
