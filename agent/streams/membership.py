"""What the agent knows of its session: the newest token and the node's own description."""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Joined:
    """An accepted session. `epoch` grows with each Welcome. Other streams use the token as call metadata."""

    epoch: int
    token: str

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Metadata for the calls of this session."""
        return (("authorization", f"Bearer {self.token}"),)

    def __repr__(self) -> str:
        return f"Joined(epoch={self.epoch})"


class Membership:
    """Written by the session, read by the other streams."""

    def __init__(self) -> None:
        self._joined: Joined | None = None
        self._epoch = 0
        self._changed = asyncio.Condition()
        self._distrusted = asyncio.Event()

    async def welcome(self, token: str) -> None:
        """A new session begins."""
        self._epoch += 1
        self._distrusted.clear()
        await self._set(Joined(self._epoch, token))

    async def leave(self) -> None:
        """Somebody else has this node's session: there is none until the next welcome."""
        await self._set(None)

    async def refresh(self, token: str) -> None:
        """The same session has a fresh token."""
        if self._joined is not None:
            await self._set(Joined(self._joined.epoch, token))

    async def _set(self, joined: Joined | None) -> None:
        async with self._changed:
            self._joined = joined
            self._changed.notify_all()

    async def joined(self) -> Joined:
        """The newest session, once there is one."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._joined is not None)
            assert self._joined is not None  # noqa: S101 -- for the type checker.
            return self._joined

    async def superseded(self, epoch: int) -> None:
        """Returns when the session `epoch` is not the present one any more: its streams end, and are opened again in
        the next one."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._joined is None or self._joined.epoch > epoch)

    def distrust(self, joined: Joined) -> None:
        """The token was refused: ask the session for a new one."""
        if self._joined == joined:
            self._distrusted.set()

    async def distrusted(self) -> None:
        """Returns when somebody distrusts the present token."""
        await self._distrusted.wait()
