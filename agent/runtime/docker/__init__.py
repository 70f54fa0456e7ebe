"""The Docker Engine as a runtime."""

from agent.runtime.docker.runtime import DockerRuntime

__all__ = ["DockerRuntime"]
