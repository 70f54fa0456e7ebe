"""Volumes of a grid, and how the volumes of a service are bound to them (docs/spec/orchestration.md section 6.4)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from services.deploy_svc.domain import readers
from services.kernel.validation import NAME, Checker, title

Scope = Literal["instance", "stack", "grid"]

# A volume of a grid goes by its name alone, for which engines want two characters.
_ENGINE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]+", re.ASCII)
_DRIVER = re.compile(r"[^:]+")


@dataclass(frozen=True, slots=True)
class GridVolume:
    """A row of `volumes`; never changed after it was made."""

    id: str
    grid_id: str
    grid: str
    name: str
    scope: Scope
    driver: str
    driver_opts: Mapping[str, str]
    created_at: datetime
    updated_at: datetime

    @property
    def path(self) -> str:
        """`grid/volume`."""
        return f"{self.grid}/{self.name}"


@dataclass(frozen=True, slots=True)
class Mount:
    """`name`, as the service says it, bound to a volume of the grid."""

    name: str
    volume_id: str
    volume: str
    scope: Scope
    driver: str
    driver_opts: Mapping[str, str] = field(default_factory=dict)

    def instance_name(self, stack: str, full_name: str, instance_number: int) -> str:
        """The engine's name of the volume for one instance of a service."""
        match self.scope:
            case "instance":
                return f"{full_name}.{self.volume}-{instance_number}"
            case "stack":
                return f"{stack}.{self.volume}"
            case "grid":
                return self.volume


@dataclass(frozen=True, slots=True)
class VolumeView:
    """What an answer shows: (node, engine volume) where it exists, and the paths of the services that use it."""

    volume: GridVolume
    instances: tuple[tuple[str, str], ...] = ()
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VolumeInput:
    """Checked attributes of a new volume."""

    name: str
    scope: str
    driver: str
    driver_opts: Mapping[str, str]


def parse(attributes: Mapping[str, Any]) -> VolumeInput:
    """Check every attribute. Raises ValidationFailed with all errors."""
    check = Checker()
    for name in ("name", "scope", "driver"):
        if name in attributes and attributes[name] is None:
            check.fail(name, f"{title(name)} can't be nil")
    options = attributes.get("driver_opts")
    pattern = _ENGINE_NAME if attributes.get("scope") == "grid" else NAME
    result = VolumeInput(
        name=check.text("name", attributes.get("name"), required=True, pattern=pattern, longest=64) or "",
        scope=check.text("scope", attributes.get("scope"), required=True, options=get_args(Scope)) or "",
        driver=check.text("driver", attributes.get("driver"), required=True, pattern=_DRIVER, longest=255) or "",
        driver_opts={} if options is None else readers.options(check, "driver_opts", options) or {},
    )
    check.done()
    return result


def bind(name: str, volume: GridVolume) -> Mount:
    """`name` of a service means this volume."""
    return Mount(name, volume.id, volume.name, volume.scope, volume.driver, dict(volume.driver_opts))
