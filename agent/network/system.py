"""Interfaces, routes and firewall of this machine, read and changed with the programs `ip`, `wg` and `iptables`."""

import json
import os
import shutil
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from agent.domain import firewall
from agent.domain.firewall import Rules
from agent.domain.overlay_plan import Names, Overlay, Route, wireguard_config
from agent.domain.overlay_steps import Observed, steps
from agent.network.commands import CommandFailed, run
from agent.state_dir import StateDir
from services.kernel.logs import get_logger

log = get_logger(__name__)

_TABLES = ("raw", "nat", "filter")
_DEFAULT_MTU = 1500
_CONFIG = "wireguard.conf"


class Handshake(NamedTuple):
    """What WireGuard knows of a peer, which its public key names."""

    public_key: str
    allowed: tuple[str, ...]
    at: datetime | None
    rx_bytes: int
    tx_bytes: int


def lacks() -> list[str]:
    """Why this machine can take no part in the network of a grid, and what to do; nothing when it can."""
    found = []
    if os.geteuid() != 0:
        found.append("the agent may not configure networks: run it as root")
    missing = [name for name in ("ip", "bridge", "iptables", "dnsmasq") if shutil.which(name) is None]
    if missing:
        found.append(f"not installed: {', '.join(missing)} (packages iproute2, iptables, dnsmasq-base)")
    return found


def lacks_encryption() -> str:
    """Why this machine cannot encrypt, and what to do; empty when it can."""
    if shutil.which("wg") is None:
        return "wg is not installed (package wireguard-tools)"
    if Path("/sys/module/wireguard").exists() or shutil.which("wireguard-go") is None:
        # The kernel loads the module when the first interface is made; that says what is wrong, if anything.
        return ""
    return "" if Path("/dev/net/tun").exists() else "wireguard-go needs /dev/net/tun"


def exists(device: str) -> bool:
    """Whether this machine has an interface."""
    # Not by /sys, which shows the interfaces of the machine also to a process in a network namespace.
    return device in (name for _, name in socket.if_nameindex())


class System:
    """Changes only what belongs to the node that `names` are of."""

    def __init__(self, names: Names, folder: StateDir) -> None:
        self._names = names
        self._folder = folder
        # Our chains as they look after they were applied: another look means that somebody has changed them.
        self._applied: tuple[Rules, tuple[str, ...]] | None = None
        self._configured = ""

    async def routes(self) -> list[tuple[str, str]]:
        """Destinations of all routes with their devices."""
        found = json.loads(await run(("ip", "-j", "route", "show", "table", "main")) or "[]")
        return [(entry["dst"], entry.get("dev", "")) for entry in found]

    async def underlay_mtu(self, address: str) -> int:
        """Of the interface that has `address`, else of the one that leads out."""
        links = json.loads(await run(("ip", "-j", "addr", "show")))
        mtus = {link["ifname"]: int(link["mtu"]) for link in links}
        for link in links:
            if any(entry.get("local") == address for entry in link.get("addr_info", ())):
                return int(link["mtu"])
        default = next((device for destination, device in await self.routes() if destination == "default"), "")
        return mtus.get(default, _DEFAULT_MTU)

    async def observe(self) -> Observed:
        """What there is."""
        names = self._names
        links = json.loads(await run(("ip", "-j", "addr", "show")))
        ours = {link["ifname"]: link for link in links if link["ifname"] in (names.wireguard, names.vxlan)}
        neighbours: list[dict[str, Any]] = []
        mapped: list[dict[str, Any]] = []
        if names.vxlan in ours:
            shown = ("ip", "-j", "neigh", "show", "dev", names.vxlan, "nud", "permanent")
            neighbours = json.loads(await run(shown) or "[]")
            mapped = json.loads(await run(("bridge", "-j", "fdb", "show", "dev", names.vxlan)) or "[]")
        return Observed(
            links={name: _mtu(link) for name, link in ours.items()},
            addresses={
                name: frozenset(f"{entry['local']}/{entry['prefixlen']}" for entry in link["addr_info"])
                for name, link in ours.items()
            },
            routes=frozenset(await self._own_routes()),
            neighbours={entry["dst"]: entry.get("lladdr", "") for entry in neighbours},
            mapped={
                # A port that is not shown is that of the interface itself.
                entry["mac"]: (entry["dst"], int(entry.get("port", 0)))
                for entry in mapped
                if "dst" in entry
            },
        )

    async def _own_routes(self) -> list[Route]:
        found = json.loads(await run(("ip", "-j", "route", "show", "table", "main")) or "[]")
        ours = (self._names.wireguard, self._names.vxlan)
        return [
            Route(_prefixed(entry["dst"]), entry["dev"], entry.get("gateway", ""))
            for entry in found
            if entry.get("dev") in ours
        ]

    async def apply(self, overlay: Overlay, private_key: str, former_bridges: Sequence[str]) -> None:
        """Bring it about; what is as it should be is not touched. Raises CommandFailed."""
        # Before the ways are opened.
        await self.apply_rules(overlay, former_bridges)
        observed = await self.observe()
        if overlay.encrypted:
            await self._apply_wireguard(overlay, private_key, observed)
        for command in steps(overlay, observed):
            await run(command)
        if overlay.trusted:
            # Strict: a trusted peer speaks for its own block only.
            await run(("sysctl", "-qw", f"net.ipv4.conf.{self._names.vxlan}.rp_filter=1"))
        if not overlay.encrypted:
            self._configured = ""

    async def _apply_wireguard(self, overlay: Overlay, private_key: str, observed: Observed) -> None:
        device = self._names.wireguard
        made = device not in observed.links
        if made:
            await _make_wireguard(device)
        config = wireguard_config(overlay, private_key)
        keys = {peer.public_key for peer in overlay.encrypted}
        # Not compared: where a peer was heard from last is better than where it was expected.
        if made or config != self._configured or {each.public_key for each in await self.handshakes()} != keys:
            # By a file that only root may read: arguments are seen by everybody on the machine.
            await run(("wg", "syncconf", device, str(self._folder.write_text(_CONFIG, config))))
            self._configured = config

    async def handshakes(self) -> list[Handshake]:
        """What WireGuard knows of its peers; nothing without the interface."""
        try:
            lines = (await run(("wg", "show", self._names.wireguard, "dump"))).splitlines()[1:]
        except CommandFailed:
            return []
        found = []
        for line in lines:
            key, _, _, allowed, at, received, sent, _ = line.split("\t")
            time = datetime.fromtimestamp(int(at), UTC) if int(at) else None
            found.append(Handshake(key, tuple(allowed.split(",")), time, int(received), int(sent)))
        return found

    async def trusted_traffic(self, overlay: Overlay) -> dict[str, tuple[int, int]]:
        """Bytes received from and sent to trusted peers, by id."""
        return firewall.traffic(overlay, await run(("iptables-save", "-c", "-t", "filter"))) if overlay.trusted else {}

    async def apply_rules(self, overlay: Overlay, former_bridges: Sequence[str]) -> None:
        """The firewall alone. Raises CommandFailed."""
        saved = await self._saved()
        rules = firewall.rules(overlay, former_bridges, docker_user=firewall.leads_to_docker_user(saved))
        own = firewall.own_lines(self._names.key, saved)
        if self._applied != (rules, own):
            await run(("iptables-restore", "-w", "--noflush"), rules.text)
            saved = await self._saved()
            self._applied = (rules, firewall.own_lines(self._names.key, saved))
        for jump in firewall.missing_jumps(rules.jumps, saved):
            with_target = (jump.chain, "-j", jump.target)
            await run(("iptables", "-w", "-t", jump.table, "-I", *with_target))
            if f"-A {jump.chain} -j {jump.target}" in saved:
                # The new one is first; the old one further down goes.
                await _delete_last(jump)

    async def _saved(self) -> str:
        return "".join([await run(("iptables-save", "-t", table)) for table in _TABLES])

    async def remove(self) -> None:
        """Take all of it away; what is not there is no failure."""
        saved = await self._saved()
        chains = firewall.chains_of(self._names.key, saved)
        table = ""
        for line in saved.splitlines():
            if line.startswith("*"):
                table = line[1:].strip()
            elif line.startswith("-A ") and any(line.endswith(f"-j {chain}") for _, chain in chains):
                await _tolerant("iptables", "-w", "-t", table, "-D", *line.split()[1:])
        for verb in ("-F", "-X"):
            for table, chain in chains:
                await _tolerant("iptables", "-w", "-t", table, verb, chain)
        for device in (self._names.wireguard, self._names.vxlan):
            await _tolerant("ip", "link", "del", device)
        self._applied, self._configured = None, ""


async def _make_wireguard(device: str) -> None:
    try:
        await run(("ip", "link", "add", device, "type", "wireguard"))
    except CommandFailed as error:
        if shutil.which("wireguard-go") is None:
            raise CommandFailed(f"the kernel has no WireGuard and wireguard-go is not installed ({error})") from None
        # It goes to the background and lives on without this process.
        await run(("wireguard-go", device), stays=True)
        log.info("encrypting outside the kernel", device=device)


async def _delete_last(jump: firewall.Jump) -> None:
    shown = await run(("iptables", "-w", "-t", jump.table, "-S", jump.chain))
    lines = [line for line in shown.splitlines() if line.startswith("-A ")]
    places = [number for number, line in enumerate(lines, 1) if line == f"-A {jump.chain} -j {jump.target}"]
    if len(places) > 1:
        await run(("iptables", "-w", "-t", jump.table, "-D", jump.chain, str(places[-1])))


async def _tolerant(*command: str) -> None:
    try:
        await run(command)
    except CommandFailed as error:
        log.debug("nothing to take away", cause=str(error))


def _mtu(link: dict[str, Any]) -> int:
    """0 for one that is down, so that it is set up."""
    return int(link["mtu"]) if "UP" in link.get("flags", ()) else 0


def _prefixed(destination: str) -> str:
    return destination if "/" in destination else f"{destination}/32"
