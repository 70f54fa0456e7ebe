"""`python -m deploy.settings_page`: every setting of every part with its default.

`make settings-page` writes it; a test compares it with the settings classes.
"""

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from agent.settings import AgentSettings
from deploy.backup.installation import SERVICE_SETTINGS
from deploy.backup.settings import BackupSettings
from deploy.local.settings import ROOT, LocalSettings
from gateway.exec_bridge.settings import ExecBridgeSettings
from gateway.settings import GatewaySettings
from services.kernel.settings import ServiceSettings, variables


class Part(NamedTuple):
    """A section: its settings class, those of which another section has the fields, and the page that says more."""

    title: str
    settings: type[BaseSettings]
    beside: type[BaseSettings] | None
    page: str


_LOGINS = "[identity providers](identity-providers.md)"
_MORE = {"auth": _LOGINS}
PARTS = (
    Part("All four services", ServiceSettings, None, "[high availability](high-availability.md)"),
    *(
        Part(f"{name}_svc", settings, ServiceSettings, _MORE.get(name, ""))
        for name, settings in SERVICE_SETTINGS.items()
    ),
    Part("Gateway", GatewaySettings, None, "[gateway](../../gateway/README.md)"),
    Part("Exec bridge", ExecBridgeSettings, None, "[gateway](../../gateway/README.md)"),
    Part("Agent", AgentSettings, None, "[nodes](nodes.md)"),
    Part("Backups", BackupSettings, None, "[backup](backup.md)"),
    Part("`make up`", LocalSettings, None, "[install](install.md)"),
)
_HEAD = """# Settings
Environment variables. An empty cell means that there is none; several names in one row mean the same, the first that is
set counts. A wrong value ends the process at start with its name. This page is made from the settings classes: change
those, then `make settings-page`.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(line for part in PARTS for line in _section(part))]) + "\n"


def _section(part: Part) -> Iterator[str]:
    yield f"## {part.title}"
    yield "| Variable | Default | Meaning |"
    yield "|---|---|---|"
    shared = part.beside.model_fields if part.beside else {}
    for (name, field), names in zip(part.settings.model_fields.items(), variables(part.settings), strict=True):
        if name in shared and _default(field) == _default(shared[name]) and len(names) == 1:
            continue
        meaning = field.description or (shared[name].description if name in shared else "") or _see(part)
        yield f"| {', '.join(f'`{one}`' for one in names)} | {_default(field)} | {_cell(meaning)} |"
    yield ""


def _see(part: Part) -> str:
    return f"see {part.page}" if part.page else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    if field.default_factory is not None:
        return "of the machine"
    text = _text(field.default)
    return f"`{_cell(text)}`" if text else ""


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case SecretStr():
            return value.get_secret_value()
        case tuple((str(), int()) as address) if hasattr(value, "_fields"):
            return f"{address[0]}:{address[1]}"
        case tuple():
            return ",".join(_text(one) for one in value)
        case float():
            return f"{value:g}" if value < 1e6 else f"{value:.0f}"
    return str(value).replace(f"{ROOT}/", "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write(page())
