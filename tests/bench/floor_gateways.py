"""Gateways with something left out: each function makes what edits a rendered configuration before Envoy starts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.clusters import FILE
from gateway.render import replace

Change = Callable[[Path], None]


def _edited(file: str, edit: Callable[[Any], None]) -> Change:
    def change(folder: Path) -> None:
        config = json.loads((folder / file).read_text())
        edit(config)
        replace(folder / file, config)

    return change


def _managed(edit: Callable[[Any], None]) -> Change:
    """`edit` gets the connection manager of the public port."""
    return _edited("envoy.json", lambda config: edit(_filters(config)[-1]["typed_config"]))


def _filters(config: Any) -> Any:
    return config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"]


def without(*words: str) -> Change:
    """No HTTP filter whose name has one of these words."""

    def edit(manager: Any) -> None:
        filters = manager["http_filters"]
        manager["http_filters"] = [one for one in filters if not any(word in one["name"] for word in words)]

    return _managed(edit)


def router_only() -> Change:
    """No HTTP filter but the last."""

    def edit(manager: Any) -> None:
        manager["http_filters"] = manager["http_filters"][-1:]

    return _managed(edit)


def printing(**options: bool) -> Change:
    """Other options of the transcoder for JSON."""

    def edit(manager: Any) -> None:
        [transcoder] = [one for one in manager["http_filters"] if "transcoder" in one["name"]]
        transcoder["typed_config"]["print_options"] = options

    return _managed(edit)


def one_route() -> Change:
    """Everything goes to deploy_svc."""

    def edit(manager: Any) -> None:
        [host] = manager["route_config"]["virtual_hosts"]
        host["routes"] = [{"match": {"prefix": "/"}, "route": {"cluster": "deploy"}}]

    return _managed(edit)


def uncounted_connections() -> Change:
    """No limit of connections, in all or of an address."""

    def edit(config: Any) -> None:
        del config["overload_manager"]
        del _filters(config)[:-1]

    return _edited("envoy.json", edit)


def streams_per_connection(most: int) -> Change:
    """More connections to services: each has so many calls at a time."""

    def edit(config: Any) -> None:
        for cluster in config["resources"]:
            for options in cluster.get("typed_extension_protocol_options", {}).values():
                options["explicit_http_config"]["http2_protocol_options"]["max_concurrent_streams"] = most

    return _edited(FILE, edit)
