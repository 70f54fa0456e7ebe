"""Events of the engine about containers with our labels."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from agent.domain.labels import NODE_ID
from agent.runtime.docker.engine import Engine
from agent.runtime.docker.json_lines import json_lines
from agent.runtime.ports import ContainerEvent, Resync

_ACTIONS = ["start", "die", "destroy", "pause", "unpause", "rename", "update"]


async def follow_events(engine: Engine) -> AsyncIterator[ContainerEvent | Resync]:
    """Resync once the engine is listening, then each event until the connection ends."""
    filters = json.dumps({"type": ["container"], "event": _ACTIONS, "label": [NODE_ID]})
    async with engine.opened("events", {"filters": filters}) as response:
        yield Resync()
        async for data in json_lines(response):
            yield event_from(data)


def event_from(data: Mapping[str, Any]) -> ContainerEvent:
    """An event from the engine's JSON."""
    return ContainerEvent(data["Action"], data["Actor"]["ID"], data["Actor"]["Attributes"])
