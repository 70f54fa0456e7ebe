"""Where the masters are that people work with, and with which token: contexts, one of which is current.

They are kept in a file of this program. What the public `kontena` CLI has in `~/.kontena_client.json` is taken over
while there is no such file. The environment (KONTENA_URL, KONTENA_TOKEN, KONTENA_GRID) wins over both.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from kontena_ctl.failures import Failure

ENVIRONMENT = "environment"


@dataclass(frozen=True)
class Context:
    """One master, and what is used of it. `expires_at` is a Unix time, 0 when the token lasts."""

    name: str
    url: str
    token: str = ""
    grid: str = ""
    refresh_token: str = ""
    expires_at: float = 0
    ca_file: str = ""

    @property
    def expired(self) -> bool:
        """Whether the token is over, or will be before an answer comes."""
        return 0 < self.expires_at < time.time() + 10


@dataclass
class Contexts:
    """All of them by name; `path` is where `save` writes."""

    path: Path
    current: str = ""
    known: dict[str, Context] = field(default_factory=dict)
    # Where they come from when not from `path`.
    imported: Path | None = None

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ) -> "Contexts":
        """Raises Failure when a file cannot be read."""
        path = _own_path(environment)
        if path.exists():
            document = _read(path)
            known = {name: Context(name, **values) for name, values in document.get("contexts", {}).items()}
            return cls(path, str(document.get("current", "")), known)
        other = Path(environment.get("KONTENA_CONFIG") or Path.home() / ".kontena_client.json")
        if other.exists():
            found = _read(other)
            known = {context.name: context for context in map(_of_server, found.get("servers") or ())}
            return cls(path, str(found.get("current_server") or ""), known, imported=other)
        return cls(path)

    def save(self) -> None:
        """Write the file, readable for its owner only, in one step."""
        known = {name: _without_name(context) for name, context in sorted(self.known.items())}
        text = json.dumps({"current": self.current, "contexts": known}, indent=2) + "\n"
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self.path.with_suffix(f".{os.getpid()}")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        fresh.replace(self.path)

    def put(self, context: Context, *, use: bool) -> None:
        """Add or replace one, and save."""
        self.known[context.name] = context
        if use or not self.current:
            self.current = context.name
        self.save()

    def choose(self, name: str = "", grid: str = "", environment: Mapping[str, str] = os.environ) -> Context:
        """The context that a command uses. Raises Failure when there is none."""
        url = environment.get("KONTENA_URL", "")
        name = name or environment.get("KONTENA_CTX", "") or environment.get("KONTENA_MASTER", "")
        if name:
            found = self.get(name)
        elif url:
            found = Context(ENVIRONMENT, url, ca_file=environment.get("KONTENA_CA_FILE", ""))
        elif self.current:
            found = self.get(self.current)
        else:
            raise Failure("No master is known.", "kctl login URL", "or set KONTENA_URL, KONTENA_TOKEN and KONTENA_GRID")
        token = environment.get("KONTENA_TOKEN", "")
        # The token in the environment belongs to the master there.
        if token and (not name or found.url == url):
            found = replace(found, token=token, expires_at=0)
        return replace(found, grid=grid or environment.get("KONTENA_GRID", "") or found.grid)

    def get(self, name: str) -> Context:
        """The context of this name. Raises Failure."""
        if name not in self.known:
            have = ", ".join(sorted(self.known)) or "none"
            raise Failure(f"No context is named {name!r}; there are: {have}.", "kctl ctx ls")
        return self.known[name]


def _own_path(environment: Mapping[str, str]) -> Path:
    if environment.get("KONTENA_CTL_CONFIG"):
        return Path(environment["KONTENA_CTL_CONFIG"])
    base = environment.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "kontena-ctl" / "contexts.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Failure(f"{path} cannot be read: {error}", "repair or remove the file") from error
    if not isinstance(found, dict):
        raise Failure(f"{path} does not hold a JSON object", "repair or remove the file")
    return found


def _of_server(server: Mapping[str, Any]) -> Context:
    return Context(
        str(server.get("name") or "kontena-master"),
        str(server.get("url") or ""),
        str(server.get("token") or ""),
        str(server.get("grid") or ""),
        str(server.get("refresh_token") or ""),
        float(server.get("token_expires_at") or 0),
    )


def _without_name(context: Context) -> dict[str, Any]:
    return {name: value for name, value in asdict(context).items() if name != "name" and value}
