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

T = TypeVar("T")

SPEC = TypeAdapter(ServiceSpec)
POD = TypeAdapter(Pod)
MOUNTS: TypeAdapter[tuple[Mount, ...]] = TypeAdapter(tuple[Mount, ...])
DOCUMENT = TypeAdapter(Document)


def to_json(adapter: TypeAdapter[T], value: T) -> Any:
    """The value as the column holds it."""
    return adapter.dump_python(value, mode="json")
