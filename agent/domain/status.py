"""State of an instance as it is reported (docs/spec/orchestration.md section 8.7)."""

from agent.runtime.ports import Container

MISSING = "missing"
RUNNING = "running"
RESTARTING = "restarting"
STOPPED = "stopped"


def reported_state(container: Container | None, crashes: int) -> str:
    """missing, running, restarting or stopped; a paused one does nothing, so it is no running one."""
    if container is None:
        return MISSING
    if container.paused:
        return STOPPED
    if container.running and not container.restarting:
        return RUNNING
    return RESTARTING if crashes > 0 else STOPPED


def exit_words(container: Container) -> str:
    """How a container ended, for people."""
    return f"exit code {container.exit_code}{' (out of memory)' if container.oom_killed else ''}"
