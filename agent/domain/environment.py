"""Environment of a container: plain variables, then secrets (docs/spec/orchestration.md section 7.2)."""

from collections.abc import Iterable

from agent.domain.errors import ConfigInvalid

LONGEST = 131_072


def join_env(env: Iterable[str], secrets: Iterable[tuple[str, str]]) -> list[str]:
    """`env` in order, then one entry per secret name in order of first appearance, several values of one name joined
    with newlines. Raises ConfigInvalid when an entry is longer than the kernel takes; never tells a value."""
    values: dict[str, list[str]] = {}
    for name, value in secrets:
        values.setdefault(name, []).append(value)
    joined = [*env, *(f"{name}={chr(10).join(lines)}" for name, lines in values.items())]
    for entry in joined:
        size = len(entry.encode())
        if size > LONGEST:
            name = entry.partition("=")[0]
            raise ConfigInvalid(f"Env {name} is too large at {size} bytes; at most {LONGEST} are possible")
    return joined
