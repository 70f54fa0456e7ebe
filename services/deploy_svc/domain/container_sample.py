"""Resources that a container used (docs/spec/deploy_rest.md section 9)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.deploy_svc.domain.log_query import leading_number
from services.kernel.errors import InvalidRequest

_LONGEST = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Traffic of a group of interfaces; bytes since the start, rates lately."""

    interfaces: Sequence[str] = ()
    rx_bytes: float = 0.0
    rx_bytes_per_second: float = 0.0
    tx_bytes: float = 0.0
    tx_bytes_per_second: float = 0.0


@dataclass(frozen=True, slots=True)
class Usage:
    """One sample. `cpu` is percent of one core."""

    cpu: float
    cpu_limit: int
    num_cores: int
    memory: float
    memory_limit: float
    internal: Traffic = field(default_factory=Traffic)
    external: Traffic = field(default_factory=Traffic)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a node sent."""

    container_id: str
    time: datetime
    usage: Usage


@dataclass(frozen=True, slots=True)
class Current:
    """The newest sample of a running container, None when there is none yet."""

    name: str
    usage: Usage | None


@dataclass(frozen=True, slots=True)
class Minute:
    """A minute of a service: average per container, summed over containers; cores counted once per node."""

    time: datetime
    cpu: float
    cores: int
    memory: float
    memory_limit: float
    internal: Traffic
    external: Traffic


def ordered(found: Iterable[Current], sort: str, limit: str) -> list[Current]:
    """Descending by `cpu` (also for unknown words), `memory`, `rx_bytes` or `tx_bytes`; the first `limit` of them."""

    def size(item: Current) -> float:
        usage = item.usage
        if usage is None:
            return 0.0
        match sort:
            case "memory":
                return usage.memory
            case "rx_bytes":
                return usage.internal.rx_bytes + usage.external.rx_bytes
            case "tx_bytes":
                return usage.internal.tx_bytes + usage.external.tx_bytes
        return usage.cpu

    most = leading_number(limit)
    items = sorted(found, key=size, reverse=True)
    return items[:most] if most > 0 else items


def period(first: str, last: str, now: datetime) -> tuple[datetime, datetime]:
    """The time that a request is about: until now, from an hour earlier, unless it says something else. At most 31
    days. Raises InvalidRequest for text that is no time."""
    end = _time(last, "to") if last else now
    begin = _time(first, "from") if first else end - timedelta(hours=1)
    return max(begin, end - _LONGEST), end


def _time(text: str, name: str) -> datetime:
    try:
        # A plus sign of an offset may have become a blank on the way through the query.
        time = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{name} is not a time", field=name) from None
    if not 1970 <= time.year < 9999:
        raise InvalidRequest(f"{name} is not a time", field=name)
    return time
