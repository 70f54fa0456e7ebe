"""An endpoint: a running instance that may be connected to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`lost` says that its node is not connected to the master."""

    instance_id: str
    service: str
    stack: str
    hostname: str
    domainname: str
    exposed: bool
    address: str
    node_id: str
    lost: bool = False


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class EndpointUpdate:
    """A step of the list of endpoints: one object for all who hear the same. See the proto for its meaning."""

    upserted: Sequence[Endpoint] = ()
    removed: Sequence[str] = ()
    reset: bool = False
    synced: bool = False


def listing(endpoints: Sequence[Endpoint]) -> tuple[EndpointUpdate, ...]:
    """The complete list, in messages of a bounded size."""
    chunks = [endpoints[start : start + _CHUNK] for start in range(0, len(endpoints), _CHUNK)] or [()]
    last = len(chunks) - 1
    return tuple(EndpointUpdate(chunk, reset=index == 0, synced=index == last) for index, chunk in enumerate(chunks))


def steps(changes: Mapping[str, Endpoint | None]) -> tuple[EndpointUpdate, ...]:
    """The changes by instance id, None for one that is gone, in messages of a bounded size."""
    items = list(changes.items())
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    return tuple(
        EndpointUpdate(
            tuple(endpoint for _, endpoint in chunk if endpoint is not None),
            tuple(key for key, endpoint in chunk if endpoint is None),
        )
        for chunk in chunks
    )
