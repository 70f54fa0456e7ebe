"""Removes images that this agent has pulled once no container has used them for a while (section 8.4)."""

import time

from agent.runtime.ports import Runtime
from agent.state_dir import StateDir, StateFile
from agent.state_documents import ImagesDocument
from services.kernel.logs import get_logger

log = get_logger(__name__)

_DELAY = 1.0


class ImageCleaner:
    """Images that came onto the node in another way are never touched: perhaps no registry has them. `turn`
    must be supervised; what was pulled survives the process."""

    def __init__(self, runtime: Runtime, folder: StateDir, keep_seconds: float) -> None:
        self._runtime = runtime
        self._keep = keep_seconds
        self._file = StateFile(folder, "images.json", self._content, _DELAY)
        # When each was last known to be in use, by image id, in seconds since the epoch.
        self._used = self._file.read(ImagesDocument).root

    def pulled(self, image_id: str) -> None:
        """This agent has brought the image onto the node."""
        self._used[image_id] = time.time()
        self._file.touch()

    async def turn(self) -> None:
        """Remove what was not used for `keep_seconds`; raises when the engine does not answer."""
        if not self._used:
            return
        in_use, now = await self._runtime.containers.image_ids(), time.time()
        for image_id, used in list(self._used.items()):
            if image_id in in_use or used > now:
                self._used[image_id] = now
            elif now - used >= self._keep and await self._runtime.images.remove(image_id):
                del self._used[image_id]
                log.info("image removed that was not used any more", image=image_id)
        self._file.touch()

    def _content(self) -> ImagesDocument:
        return ImagesDocument.model_construct(dict(self._used))
