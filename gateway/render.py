"""Puts the whole Envoy configuration together and writes it."""

import json
import os
from pathlib import Path

from google.protobuf import descriptor_pb2

from gateway import catalog
from gateway.clusters import clusters
from gateway.filters import http_filters
from gateway.listener import listener, socket_address
from gateway.routes import virtual_host
from gateway.settings import GatewaySettings
from gateway.typed import Config, extension

# Routes list RPCs in regular expressions; the default limit (100) is meant for expressions from untrusted sources.
_RUNTIME = {"re2": {"max_program_size": {"error_level": 100_000, "warn_level": 100_000}}}


def bootstrap(settings: GatewaySettings, descriptors: descriptor_pb2.FileDescriptorSet) -> Config:
    """The configuration as a value; equal inputs give equal results. Raises ValueError when the protos do not fit."""
    services = catalog.services(descriptors)
    check_upstreams(services, settings)
    filters = http_filters(settings, services, descriptors)
    return {
        "admin": {"address": socket_address(settings.admin_address, settings.admin_port)},
        "static_resources": {
            "listeners": [listener(settings, virtual_host(settings, services), filters)],
            "clusters": clusters(settings),
        },
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
    """Replace `target` in one step, so that a reader never sees half a file."""
    config = bootstrap(settings, catalog.load_descriptors(settings.descriptors))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_text(json.dumps(config, indent=1) + "\n")
    partial.replace(target)
