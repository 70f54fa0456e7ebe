"""Images: pulled once per rollout, with the copy on the node as the fallback when the registry does not help."""

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agent.domain.errors import EngineRefused, ImageUnavailable
from agent.runtime.docker.engine import NOT_FOUND, Engine
from agent.runtime.docker.json_lines import json_lines
from agent.runtime.ports import Image, Login

_CACHE_SECONDS = 600.0
_ATTEMPTS = 3
_BETWEEN_ATTEMPTS = 0.1
# A registry that drops packets must not hold up an image that is already here.
_FIRST_WORD_WITH_COPY = 10.0
_FIRST_WORD = 60.0
_SILENCE = 120.0
_REMOVE_SECONDS = 60.0


class Images:
    """One pull per image at a time; a rollout asks the registry once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._locks: dict[str, asyncio.Lock] = {}
        # When a registry was last asked, by image and rollout.
        self._asked: dict[tuple[str, str], float] = {}
        # What there was of an image, and when that was looked at.
        self._seen: dict[str, tuple[float, Image]] = {}

    async def ensure(self, image: str, rev: str, login: Login | None) -> Image:
        began = time.monotonic()
        async with self._locks.setdefault(image, asyncio.Lock()):
            now = time.monotonic()
            self._asked = {key: at for key, at in self._asked.items() if now - at < _CACHE_SECONDS}
            seen, shown = self._seen.get(image, (-1.0, None))
            if shown is not None and seen >= began and (image, rev) in self._asked:
                # One look answers all who asked before it.
                return shown
            present = await self._image(image)
            if present is None or (image, rev) not in self._asked:
                found = await self._pull_or_copy(image, login, present)
                self._asked[image, rev] = time.monotonic()
                return found
            self._seen[image] = (now, present)
            return present

    async def remove(self, image_id: str) -> bool:
        shown = await self._show(image_id)
        if shown is None or len(shown.get("RepoTags") or ()) > 1:
            return True
        name = (shown.get("RepoTags") or [image_id])[0]
        try:
            async with self._engine.call(_REMOVE_SECONDS) as docker:
                await docker.images.delete(name)
        except EngineRefused as error:
            return error.status == NOT_FOUND
        return True

    async def _pull_or_copy(self, image: str, login: Login | None, present: Image | None) -> Image:
        try:
            await self._pull_patiently(image, login, _FIRST_WORD if present is None else _FIRST_WORD_WITH_COPY)
        except EngineRefused as error:
            if present is None:
                raise ImageUnavailable(f"image {image} cannot be pulled: {error}") from error
            return replace(present, problem=str(error))
        pulled = await self._image(image)
        if pulled is None:
            raise ImageUnavailable(f"image {image} was pulled and is gone")
        return replace(pulled, pulled=present is None or pulled.id != present.id)

    async def _pull_patiently(self, image: str, login: Login | None, first_word: float) -> None:
        """Raises EngineRefused when the registry does not give the image."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._pull(image, login, first_word)
            except _Silent:
                raise EngineRefused(0, "the registry does not answer") from None
            except EngineRefused:
                if attempt == _ATTEMPTS:
                    raise
                await asyncio.sleep(_BETWEEN_ATTEMPTS)
        return None

    async def _pull(self, image: str, login: Login | None, first_word: float) -> None:
        params = {"fromImage": image} if _names_version(image) else {"fromImage": image, "tag": "latest"}
        clock = asyncio.get_running_loop()
        try:
            async with (
                asyncio.timeout(first_word) as limit,
                self._engine.opened(
                    "images/create", params, method="POST", headers=_auth_headers(login), seconds=None
                ) as response,
            ):
                async for message in json_lines(response):
                    limit.reschedule(clock.time() + _SILENCE)
                    if "error" in message:
                        raise EngineRefused(0, str(message["error"]))
        except TimeoutError:
            raise _Silent from None

    async def _image(self, image: str) -> Image | None:
        shown = await self._show(image)
        if shown is None:
            return None
        return Image(str(shown["Id"]), volumes=sorted((shown.get("Config") or {}).get("Volumes") or ()))

    async def _show(self, image: str) -> Mapping[str, Any] | None:
        return await self._engine.show(lambda docker: docker.images.inspect(image))


class _Silent(Exception):
    """The registry said nothing for too long."""


def _names_version(image: str) -> bool:
    last = image.rpartition("/")[2]
    return ":" in last or "@" in last


def _auth_headers(login: Login | None) -> dict[str, str]:
    if login is None:
        return {}
    content = {"username": login.username, "password": login.password, "email": login.email}
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(content).encode()).decode()}
