"""ServiceSpec to JSON and back, as it is kept in `services.spec`."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from services.deploy_svc.domain.service_spec import (
    CertificateRef,
    DeployOpts,
    HealthCheck,
    Hook,
    Link,
    Port,
    SecretRef,
    ServiceSpec,
)

T = TypeVar("T")

_OBJECTS: dict[str, type[Any]] = {"deploy_opts": DeployOpts, "health_check": HealthCheck}
_ELEMENTS: dict[str, type[Any]] = {
    "secrets": SecretRef,
    "certificates": CertificateRef,
    "ports": Port,
    "links": Link,
    "hooks": Hook,
}


def encode_spec(spec: ServiceSpec) -> dict[str, Any]:
    """All attributes as plain JSON values."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(spec).items()}


def decode_spec(data: Mapping[str, Any]) -> ServiceSpec:
    """The inverse of `encode_spec`. Keys that an older release did not write get their defaults, unknown ones go."""
    required = {"image": "", "stateful": False}
    return _build(ServiceSpec, {**required, **{name: _value(name, value) for name, value in data.items()}})


def _value(name: str, value: Any) -> Any:
    if name in _OBJECTS:
        return None if value is None else _build(_OBJECTS[name], value)
    if name in _ELEMENTS:
        return tuple(_build(_ELEMENTS[name], item) for item in value)
    return tuple(value) if isinstance(value, list | tuple) else value


def _build(cls: type[T], data: Mapping[str, Any]) -> T:
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]  # All of them are dataclasses.
    return cls(**{name: value for name, value in data.items() if name in known})
