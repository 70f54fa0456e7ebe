"""Which values of an attribute reach past the container to its node: whoever sets one can become root there
(docs/adr/0073-host-level-attributes.md).

Each rule takes a value and the paths of nodes that are open to every member, and returns the parts that are host-level.
"""

import ipaddress
import posixpath
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from services.deploy_svc.domain.volume_spec import parse_volume

HostLevel = Callable[[Any, Collection[str]], Sequence[str]]

# What engines give a container that asks for nothing.
_DEFAULT_CAPABILITIES = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
})  # fmt: skip
# Their `device` is a share on a server, or nothing; any other type can be made to show a part of the node.
_REMOTE_TYPES = frozenset({"cifs", "nfs", "nfs4", "tmpfs"})
# With these the kernel ignores the type.
_MOUNT_FLAGS = frozenset({"bind", "rbind", "move", "remount"})


def never(value: Any, open_paths: Collection[str]) -> Sequence[str]:
    """Attributes that stay inside of the container."""
    return ()


def flag(value: bool, open_paths: Collection[str]) -> Sequence[str]:
    """The container is the node when it is set."""
    return ("true",) if value else ()


def anything(value: Any, open_paths: Collection[str]) -> Sequence[str]:
    """Whatever is given: a text, or a list of them."""
    given = (value,) if isinstance(value, str) else value or ()
    return tuple(map(str, given))


def network(value: str | None, open_paths: Collection[str]) -> Sequence[str]:
    """The network of the node, or that of another container, which may be the node's."""
    return () if value in (None, "", "bridge") else (value,)


def capabilities(value: Sequence[str], open_paths: Collection[str]) -> Sequence[str]:
    """Capabilities beyond those that engines give by default, however they are written."""
    return [item for item in value if item.strip().upper().removeprefix("CAP_") not in _DEFAULT_CAPABILITIES]


def binds(value: Sequence[str], open_paths: Collection[str]) -> Sequence[str]:
    """Paths of the node, but for the open ones. These count exactly: below them a container may have put links."""
    sources = [volume.bind for volume in map(parse_volume, value) if volume is not None and volume.bind is not None]
    return [source for source in sources if posixpath.normpath("/" + source.lstrip("/")) not in open_paths]


def log_options(value: Mapping[str, str], open_paths: Collection[str]) -> Sequence[str]:
    """Log drivers run in the engine: sockets and files that they are pointed to are the node's, so are the loopback
    address and its link, which is where clouds have their metadata."""
    return [name for name, text in value.items() if _is_of_the_node(text.strip().lower())]


def _is_of_the_node(target: str) -> bool:
    if target.startswith(("unix", "/")):
        return True
    authority = target.partition("://")[2] or target
    authority = authority.partition("/")[0].rpartition("@")[2]
    host = authority.partition("]")[0].strip("[") if authority.startswith("[") else authority.partition(":")[0]
    if host == "localhost" or host.endswith((".localhost", "localhost.")):
        return True
    # A plain number is a size or a count.
    address = _address(host) if ":" in target or "." in target else None
    return address is not None and (address.is_loopback or address.is_link_local or address.is_unspecified)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """In the short forms, too, that resolvers take: `127.1` is loopback."""
    for read in (socket.inet_aton, lambda text: socket.inet_pton(socket.AF_INET6, text.partition("%")[0])):
        try:
            address = ipaddress.ip_address(read(text))
        except (OSError, UnicodeError):
            continue
        return getattr(address, "ipv4_mapped", None) or address
    return None


def volume_options(driver: str, options: Mapping[str, str]) -> bool:
    """Whether a volume with these options may show a part of the node. What a plugin does with options is not known."""
    if driver != "local":
        return bool(options)
    given = {name.strip().lower(): text.strip().lower() for name, text in options.items()}
    flags = {part.strip() for part in given.get("o", "").split(",")}
    if not given:
        return False
    return given.get("type", "") not in _REMOTE_TYPES or not _MOUNT_FLAGS.isdisjoint(flags)
