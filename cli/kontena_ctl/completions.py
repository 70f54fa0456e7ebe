"""Names from the API for the completion of shells: within 300 ms, else what was known last."""

import json
import os
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from kontena_ctl import resources
from kontena_ctl.contexts import Context, Contexts
from kontena_ctl.failures import Failure

LIMIT_SECONDS = 0.3
FRESH_SECONDS = 10.0
_BY_PLURAL = {resource.plural: resource for resource in resources.ALL}


def matching(what: str, incomplete: str) -> list[str]:
    """Names that begin so; none when the master is not known or does not answer in time."""
    try:
        context = Contexts.load().choose()
        found = cached(context, what, lambda: _ask(context, what))
    except (Failure, OSError):
        return []
    return [name for name in found if name.startswith(incomplete)]


def cached(
    context: Context, what: str, ask: Callable[[], list[str]], now: Callable[[], float] = time.time
) -> list[str]:
    """What `ask` says, or said within the last seconds, or before when it fails now."""
    key = sha256(f"{context.url} {context.token} {context.grid} {what}".encode()).hexdigest()[:24]
    file = _folder() / f"{key}.json"
    try:
        known = json.loads(file.read_text())
    except (OSError, ValueError):
        known = {"at": 0, "names": []}
    if now() - known["at"] < FRESH_SECONDS:
        return list(known["names"])
    try:
        names = ask()
    except Exception:
        # A shell must never see an error in the middle of a line.
        return list(known["names"])
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = file.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps({"at": now(), "names": names}))
    fresh.replace(file)
    return names


def _ask(context: Context, what: str) -> list[str]:
    from kontena_client import Client  # noqa: PLC0415

    resource = _BY_PLURAL[what]
    with Client(context.url, context.token, ca_file=context.ca_file, timeout=LIMIT_SECONDS, attempts=1) as client:
        grid = () if resource.global_ else (context.grid or client.list_grids()["grids"][0]["name"],)
        answer: Any = getattr(client, resource.list)(*grid)
    return sorted(resource.key(one) for one in answer[resource.plural])


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kontena-ctl"
