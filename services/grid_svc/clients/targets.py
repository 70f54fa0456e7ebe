"""Where the master sends what users ask it to send somewhere: not to itself, unless an operator says so."""

import asyncio
import ipaddress
import socket
from collections.abc import Collection, Iterable

_LOOKUP_SECONDS = 2.0
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Targets:
    """`allowed` are host names, addresses and networks that an operator opened; `own` are hosts of the suite."""

    def __init__(self, allowed: Iterable[str], own: Collection[str]) -> None:
        self._names = frozenset(allowed)
        self._networks = [network for text in self._names if (network := _network(text)) is not None]
        self._own = own

    async def refusal(self, host: str, resolved: str) -> str | None:
        """Why nothing is sent to `host` whose address is `resolved`, None when it is fine."""
        address = plain(resolved)
        if host in self._names or any(address in network for network in self._networks):
            return None
        if closed(address):
            return "loopback and link-local addresses are closed"
        if is_of_this_machine(address) or address in await self._addresses_of_suite():
            return "addresses of the master are closed"
        return None

    async def refusal_of(self, host: str) -> str | None:
        """The same for all addresses that the name has now, as far as they are found within a moment."""
        try:
            async with asyncio.timeout(_LOOKUP_SECONDS):
                found = await _addresses(host)
                reasons = [await self.refusal(host, str(address)) for address in found]
        except TimeoutError:
            return None
        return next(filter(None, reasons), None)

    async def _addresses_of_suite(self) -> set[_Address]:
        found: set[_Address] = set()
        for host in self._own:
            found |= await _addresses(host)
        return found


async def _addresses(host: str) -> set[_Address]:
    """What the name stands for; nothing when nobody knows it."""
    try:
        answers = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return set()
    return {plain(str(answer[4][0])) for answer in answers}


def plain(text: str) -> _Address:
    """The address without its zone; an IPv4 address in IPv6 clothes is one. Raises ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def closed(address: _Address) -> bool:
    """Whether it is an address of no network: of a machine itself, of a link (metadata of clouds), or of nobody."""
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast


def is_of_this_machine(address: _Address) -> bool:
    """Whether this machine has the address: only then it may be bound."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
