"""`python -m gateway.envoy CONFIG [FLAGS]` becomes Envoy with a rendered configuration.

The one place that knows how Envoy has to be started, and what it needs of the machine but does not say in plain words.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

# Without hot restart there is nothing that a second gateway on the machine would have to share with the first one.
FLAGS = ("--disable-hot-restart", "--log-level", "warn")
_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")


def binary() -> str:
    """Envoy as the environment of this Python has it."""
    return str(Path(sys.executable).with_name("envoy"))


def missing() -> str:
    """What this machine lacks for Envoy, as a sentence; empty when nothing does."""
    instance = ctypes.CDLL(None, use_errno=True).inotify_init1(os.O_CLOEXEC)
    if instance >= 0:
        os.close(instance)
    elif ctypes.get_errno() == errno.EMFILE:
        limit = _INSTANCES.read_text().strip()
        return (
            f"all inotify instances of this user are in use (fs.inotify.max_user_instances is {limit}), and Envoy ends "
            "without one. Raise the limit: sysctl fs.inotify.max_user_instances=1024"
        )
    return ""


def main(arguments: Sequence[str]) -> int:
    """Returns only when Envoy cannot be started: 2 for wrong arguments, 1 when the machine lacks something."""
    if not arguments or arguments[0].startswith("-"):
        sys.stderr.write("usage: python -m gateway.envoy CONFIG [FLAGS OF ENVOY]\n")
        return 2
    problem = missing()
    if problem:
        sys.stderr.write(f"gateway: {problem}\n")
        return 1
    config, *flags = arguments
    os.execv(binary(), ["envoy", "-c", config, *FLAGS, *flags])  # noqa: S606 -- our own command line, no shell.
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
