"""Domain objects in JSON columns: `to_json` writes what `validate_python` of an adapter reads.

Keys that an older release did not write get their defaults, unknown ones go: replicas of neighbouring releases read
one another's rows.
"""

from typing import Any, TypeVar

from pydantic import TypeAdapter

from services.deploy_svc.domain.pod import Pod
from services.deploy_svc.domain.service_spec import ServiceSpec
from services.deploy_svc.domain.stack import Document
from services.deploy_svc.domain.volume import Mount
from services.kernel.storable import storable_json

T = TypeVar("T")

SPEC = TypeAdapter(ServiceSpec)
POD = TypeAdapter(Pod)
MOUNTS: TypeAdapter[tuple[Mount, ...]] = TypeAdapter(tuple[Mount, ...])
DOCUMENT = TypeAdapter(Document)
OPTIONS: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])


def read(adapter: TypeAdapter[T], column: Any) -> T:
    """The value in a column, which is text when a prepared statement brought it, and decoded already when SQLAlchemy
    did."""
    return adapter.validate_json(column) if isinstance(column, str) else adapter.validate_python(column)


def to_text(adapter: TypeAdapter[T], value: T) -> str:
    """The value as a prepared statement takes it."""
    return storable_json(adapter.dump_json(value).decode())


def to_json(adapter: TypeAdapter[T], value: T) -> Any:
    """The value as the column holds it."""
    return adapter.dump_python(value, mode="json")
