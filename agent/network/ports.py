"""Keeps the containers on this node's bridge from speaking under the addresses of others."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from agent.domain import bridge_ports
from agent.network.commands import CommandFailed, run
from agent.runtime.ports import Member

# The id of the first process of a container, 0 when it does not run.
PidOf = Callable[[str], Awaitable[int]]


class Ports:
    """Ports of one bridge. Looks again each time; changes only what is not as it should be."""

    def __init__(self, bridge: str, chain: str, pid_of: PidOf) -> None:
        self._bridge, self._chain, self._pid_of = bridge, chain, pid_of
        # Names of ports are of one start of one container, so what is known of one stays true.
        self._known: dict[str, Member] = {}
        self._guarding = asyncio.Lock()

    async def guard(self, members: Sequence[Member]) -> None:
        """`members` are the running containers on the bridge. Raises CommandFailed, EngineUnreachable."""
        async with self._guarding:
            await self._guard(members)

    async def _guard(self, members: Sequence[Member]) -> None:
        if shutil.which("ebtables") is None:
            raise CommandFailed("ebtables is not installed (package iptables or ebtables)")
        names = {int(link["ifindex"]): str(link["ifname"]) for link in await _links("master", self._bridge)}
        self._known = {name: member for name, member in self._known.items() if name in names.values()}
        for member in members:
            if member not in self._known.values() and (name := await self._port(member, names)) is not None:
                self._known[name] = member
        wanted = bridge_ports.rules(self._chain, self._known)
        saved = await run(("ebtables-save", "-t", bridge_ports.TABLE))
        if bridge_ports.own_lines(self._chain, saved) != wanted or f":{self._chain} " not in saved:
            await run(("ebtables-restore", "--noflush"), bridge_ports.document(self._chain, wanted))
        if not bridge_ports.is_entered(self._chain, saved):
            await self._tolerantly("-D", bridge_ports.HOOK, "-j", self._chain)
            await run(("ebtables", "-t", bridge_ports.TABLE, "-I", bridge_ports.HOOK, "-j", self._chain))

    async def release(self) -> None:
        """Take the rules away; nothing happens when there are none."""
        for words in (("-D", bridge_ports.HOOK, "-j", self._chain), ("-F", self._chain), ("-X", self._chain)):
            await self._tolerantly(*words)

    async def _port(self, member: Member, names: dict[int, str]) -> str | None:
        """The port on the bridge whose other end is in the container. None while it does not run."""
        pid = await self._pid_of(member.container_id)
        if not pid:
            return None
        try:
            inner = await _links(enter=pid)
        except CommandFailed:
            # It ended meanwhile.
            return None
        return next((names[link["link_index"]] for link in inner if link.get("link_index") in names), None)

    async def _tolerantly(self, *words: str) -> None:
        try:
            await run(("ebtables", "-t", bridge_ports.TABLE, *words))
        except CommandFailed:
            return


async def _links(*words: str, enter: int = 0) -> list[dict[str, Any]]:
    """The interfaces here, or in the network of a process."""
    inside = ("nsenter", "-t", str(enter), "-n", "--") if enter else ()
    found: list[dict[str, Any]] = json.loads(await run((*inside, "ip", "-j", "link", "show", *words)) or "[]")
    return found
