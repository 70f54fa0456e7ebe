"""Free ports for programs that cannot be told to choose one themselves."""

import random

from deploy.local import probes

# Below the range from which the kernel takes ports for connections and for whoever lets it choose: such a port could
# be gone between the choice and its use. Whole suites have ports of their own above (`tests/support/suite.py`).
_RANGE = range(10_000, 20_000)
_given: set[int] = set()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, never the same one twice in a test run. At random, as other runs
    choose theirs at the same time."""
    for port in random.sample(_RANGE, 1000):
        if port not in _given and probes.port_is_free(port):
            _given.add(port)
            return port
    raise AssertionError("no free ports")
