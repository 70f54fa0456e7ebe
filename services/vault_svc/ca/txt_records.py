"""Looks whether a DNS record is visible, before the authority does."""

import asyncio

from dns import asyncresolver, exception, resolver

_BUDGET_SECONDS = 5.0


class TxtRecords:
    """Asks the resolver of the settings (`host:port`), or those of the system."""

    def __init__(self, address: str = "") -> None:
        self._address = address

    async def holds(self, name: str, content: str) -> bool:
        """Whether any TXT record of the name, aliases followed, has exactly this content."""
        try:
            async with asyncio.timeout(_BUDGET_SECONDS + 1):
                answer = await self._resolver().resolve(name, "TXT", lifetime=_BUDGET_SECONDS, raise_on_no_answer=False)
        except (exception.DNSException, OSError, TimeoutError):
            return False
        wanted = content.encode()
        return any(b"".join(record.strings) == wanted for record in answer)

    def _resolver(self) -> asyncresolver.Resolver:
        if not self._address:
            return asyncresolver.Resolver()
        host, _, port = self._address.rpartition(":")
        found = asyncresolver.Resolver(configure=False)
        found.nameservers = [host.strip("[]") or port]
        found.port = int(port) if host else resolver.Resolver(configure=False).port
        # Answers of a moment ago must not hide a record that was just set.
        found.cache = None
        return found
