"""The ACME server of the settings: sessions in threads, with deadlines, and its problems as ours."""

import asyncio
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from acme import errors, messages
from josepy.errors import Error as JoseError

from services.kernel.logs import get_logger
from services.vault_svc.ca import tls_alpn  # noqa: F401 -- importing it teaches the library the challenge type.
from services.vault_svc.ca.account_key import AccountKey
from services.vault_svc.ca.session import Network, Session, reason
from services.vault_svc.domain.acme import AcmeProblem, AcmeUnreachable

log = get_logger(__name__)

T = TypeVar("T")

_THREADS = 8
# No connection, no file to trust, an answer that is no JSON, or not that of an ACME server: the library takes what it
# gets for what it should be.
_STRANGE = (OSError, errors.Error, JoseError, ValueError, LookupError, AttributeError, TypeError, RecursionError)
_WAIT = re.compile(r"[\w ,:+-]{1,40}", re.ASCII)
# The library logs what it sends and receives in full.
logging.getLogger("acme").setLevel(logging.INFO)


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the server is, and what is needed to be let in. `binding` is a key id and its HMAC key."""

    url: str
    ca_file: str = ""
    timeout: float = 10.0
    binding: tuple[str, str] | None = None


class Authority:
    """Makes sessions. The threads end with the process or with `close`."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="acme")

    async def connect(self, key: AccountKey) -> "Conversation":
        """A session with the key, not yet as an account. Raises AcmeUnreachable."""
        place = self.directory
        network = Network(
            key.jwk,
            alg=key.alg,
            verify_ssl=place.ca_file or True,  # type: ignore[arg-type]  # A path is fine for requests.
            user_agent="kontena-master",
            timeout=int(place.timeout) or 1,
        )
        return Conversation(self, await self.run(network, lambda: Session(network, key, place.url)))

    async def run(self, network: Network, step: Callable[[], T]) -> T:
        """One blocking step in a thread. Raises AcmeProblem, AcmeUnreachable."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, step)
        except messages.Error as error:
            raise _problem(error, network.retry_after) from None
        except _STRANGE as error:
            host = urlsplit(self.directory.url).netloc
            log.warning("ACME server not reachable", host=host, error=type(error).__name__, cause=str(error)[:300])
            raise AcmeUnreachable(host) from error

    def close(self) -> None:
        """Let no new step begin."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Conversation:
    """A session whose steps are awaited, one after the other."""

    def __init__(self, authority: Authority, session: Session) -> None:
        self._authority = authority
        self._session = session
        self.directory = authority.directory.url
        self.key = session.key

    async def __call__(self, step: Callable[[Session], T]) -> T:
        """Run `step` with the session. Raises AcmeProblem, AcmeUnreachable."""
        return await self._authority.run(self._session.network, lambda: step(self._session))


def _problem(error: messages.Error, retry_after: str | None) -> AcmeProblem:
    parts = tuple(
        f"{part.identifier.value if part.identifier else 'request'}: {reason(part)}" for part in error.subproblems or ()
    )
    code = error.code or str(error.typ).rpartition(":")[2]
    # It becomes a header of ours.
    known = retry_after if retry_after and _WAIT.fullmatch(retry_after) else None
    return AcmeProblem(code, reason(error), known, parts)
