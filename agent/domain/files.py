"""Where the files of containers are on the node. Pure."""

import hashlib
import posixpath
from collections.abc import Iterable, Iterator

# File systems that keep what is in them in memory.
IN_MEMORY = frozenset({"tmpfs", "ramfs"})


def node_folder(node_id: str) -> str:
    """The folder of a node: several agents may share a machine."""
    return hashlib.sha256(node_id.encode()).hexdigest()[:16]


def file_name(path: str) -> str:
    """What the file is called on the node that a container has at `path`."""
    return hashlib.sha256(path.encode()).hexdigest()[:32]


def file_system(mount_info: str, path: str) -> str:
    """The type of the file system that a path is on, as /proc/self/mountinfo says; empty when it does not."""
    best, kind = -1, ""
    for mounted, found in _mounts(mount_info):
        inside = path == mounted or path.startswith(mounted.rstrip("/") + "/")
        # Of several at one place, the last one hides the others.
        if inside and len(mounted) >= best:
            best, kind = len(mounted), found
    return kind


def _mounts(mount_info: str) -> Iterator[tuple[str, str]]:
    for line in mount_info.splitlines():
        left, _, right = line.partition(" - ")
        parts = left.split(" ")
        if len(parts) > 4 and right:
            # Blanks in paths are written as octal numbers.
            yield parts[4].encode().decode("unicode_escape"), right.split(" ")[0]


def inside(paths: Iterable[str], root: str) -> str:
    """The first of the paths of the node that is in the folder `root`, empty when none is."""
    real = posixpath.normpath(root)
    for path in paths:
        found = posixpath.normpath("/" + path.lstrip("/"))
        if found == real or found.startswith(f"{real}/"):
            return path
    return ""
