"""State of an instance as it is reported (docs/spec/orchestration.md section 8.7)."""

from agent.runtime.ports import Container

MISSING = "missing"
RUNNING = "running"
RESTARTING = "restarting"
STOPPED = "stopped"


def reported_state(*, exists: bool, running: bool, engine_restarting: bool, crashes: int, paused: bool = False) -> str:
    """missing, running, restarting or stopped; a paused one does nothing, so it is no running one."""
    if not exists:
        return MISSING
    if paused:
        return STOPPED
    if running and not engine_restarting:
        return RUNNING
    if crashes > 0:
        return RESTARTING
    return STOPPED


def exit_words(container: Container) -> str:
    """How a container ended, for people."""
    return f"exit code {container.exit_code}{' (out of memory)' if container.oom_killed else ''}"
