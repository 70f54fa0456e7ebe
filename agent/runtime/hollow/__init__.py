"""A runtime without an engine: containers are records in memory. For machines without Docker and for scale tests.

What happens is scripted by the image's name or by labels of the container:
`hollow/missing…` cannot be pulled, `hollow/broken…` does not start, `hollow/crash…` exits at once with code 1;
`io.kontena.hollow.start_seconds` delays the start, `io.kontena.hollow.run_seconds` ends the container after that time.
"""

from agent.runtime.hollow.containers import START_SECONDS, HollowContainers
from agent.runtime.hollow.nothing import HollowProbes
from agent.runtime.hollow.runtime import HollowRuntime

__all__ = ["START_SECONDS", "HollowContainers", "HollowProbes", "HollowRuntime"]
