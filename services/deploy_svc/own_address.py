"""At which address other replicas reach this one."""

import socket
from urllib.parse import urlsplit

from services.deploy_svc.settings import Settings
from services.kernel.logs import get_logger

log = get_logger(__name__)

# Reserved for documentation: nothing is sent, but the system says by which way it would be.
_ANYWHERE = "192.0.2.1"
_ALL = ("", "0.0.0.0", "::")  # noqa: S104 -- not bound here, only recognized.


def own_address(settings: Settings) -> str:
    """What the settings say, else where this replica listens. Listening on all addresses it takes the one from which
    it reaches the database, as other replicas do, or the way out of the machine; what it took is in the log."""
    if settings.advertise_address:
        return settings.advertise_address
    host, _, port = settings.listen_address.rpartition(":")
    if host.strip("[]") not in _ALL:
        return settings.listen_address
    ways = (urlsplit(settings.database_url).hostname or "", _ANYWHERE)
    found = next((address for way in ways if (address := _address_toward(way))), "")
    if not found:
        log.warning("no other replica reaches this one: set ADVERTISE_ADDRESS to its host:port")
        return f"127.0.0.1:{port}"
    address = f"[{found}]:{port}" if ":" in found else f"{found}:{port}"
    log.info("other replicas are told an address that was guessed; ADVERTISE_ADDRESS sets it", address=address)
    return address


def _address_toward(host: str) -> str:
    """The address from which `host` is reached; empty when there is no way, or none that leaves this machine."""
    if not host:
        return ""
    try:
        family, kind, _, _, target = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(target)
            address = str(probe.getsockname()[0])
    except OSError:
        return ""
    return "" if address.startswith("127.") or address == "::1" else address
