"""What a caller is told about one stored value that does not open."""

from collections.abc import Iterator
from contextlib import contextmanager

from services.kernel.errors import Unavailable
from services.kernel.logs import get_logger
from services.vault_svc.domain.envelope import Undecryptable

log = get_logger(__name__)

_TEXT = (
    "The value of {} was written with another key than vault_svc has: write it anew, or name its key in VAULT_OLD_KEYS"
)


@contextmanager
def told(name: str) -> Iterator[None]:
    """Around the opening of what people know as `name`. Raises Unavailable in the place of Undecryptable."""
    try:
        yield
    except Undecryptable as error:
        log.error("a value does not open", reason=str(error))
        raise Unavailable(_TEXT.format(name), reason="VALUE_UNREADABLE") from None
