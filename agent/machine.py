"""What this machine is and how busy it is."""

import asyncio
import socket
import time
from pathlib import Path

import psutil

from agent.domain.traffic import Traffic, TrafficReading, network_usage
from agent.runtime.ports import Runtime
from kontena.grid.v1 import node_pb2, node_session_pb2


class Machine:
    """Describes the node for the master. `toward` is the master's host:port, to find the address that leads there."""

    def __init__(self, runtime: Runtime, toward: str, public_ip: str = "", private_ip: str = "") -> None:
        self._runtime = runtime
        self._toward = toward
        self._public_ip = public_ip
        self._private_ip = private_ip
        self._root_dir = "/"
        # The first sample of a percentage or a rate needs something to compare with.
        psutil.cpu_times_percent(percpu=True)
        self._traffic = _read_traffic()

    async def info(self) -> node_session_pb2.NodeInfo:
        """The machine and its engine. Raises EngineUnreachable."""
        engine = await self._runtime.info()
        self._root_dir = engine.root_dir
        return node_session_pb2.NodeInfo(
            os=engine.os,
            kernel_version=engine.kernel_version,
            driver=engine.storage_driver,
            engine_root_dir=engine.root_dir,
            network_drivers=[node_pb2.Driver(name=d.name, version=d.version) for d in engine.network_drivers],
            volume_drivers=[node_pb2.Driver(name=d.name, version=d.version) for d in engine.volume_drivers],
            mem_total=engine.mem_total,
            cpus=engine.cpus,
            public_ip=self._public_ip,
            private_ip=await self.private_ip(),
            docker_version=engine.version,
            labels=engine.labels,
        )

    async def private_ip(self) -> str:
        """The address inside the region: as set, else the one that leads to the master. Empty when there is none."""
        return self._private_ip or await asyncio.to_thread(address_toward, self._toward)

    async def sample(self) -> node_pb2.ResourceUsage:
        """How busy the machine is now."""
        return await asyncio.to_thread(self._sample)

    def _sample(self) -> node_pb2.ResourceUsage:
        memory = psutil.virtual_memory()
        cores = psutil.cpu_times_percent(percpu=True)
        names = ("1m", "5m", "15m")
        before, self._traffic = self._traffic, _read_traffic()
        return node_pb2.ResourceUsage(
            memory=node_pb2.MemoryUsage(
                total=memory.total,
                free=memory.free,
                used=memory.total - memory.free,
                cached=memory.cached,
                buffers=memory.buffers,
                active=memory.active,
                inactive=memory.inactive,
            ),
            load=dict(zip(names, psutil.getloadavg(), strict=True)),
            filesystem=[self._filesystem()],
            cpu=node_pb2.CpuUsage(
                num_cores=len(cores),
                system=sum(core.system for core in cores),
                user=sum(core.user for core in cores),
                nice=sum(core.nice for core in cores),
                idle=sum(core.idle for core in cores),
            ),
            network=network_usage(before, self._traffic),
        )

    def _filesystem(self) -> node_pb2.FilesystemUsage:
        # In a container of its own the agent may not see the engine's folder; the root is the best guess then.
        measured = self._root_dir if Path(self._root_dir).exists() else "/"
        usage = psutil.disk_usage(measured)
        return node_pb2.FilesystemUsage(
            name=self._root_dir, used=usage.used, total=usage.total, free=usage.total - usage.used, available=usage.free
        )


def _read_traffic() -> TrafficReading:
    counters = psutil.net_io_counters(pernic=True)
    return TrafficReading(
        time.monotonic(), {name: Traffic(each.bytes_recv, each.bytes_sent) for name, each in counters.items()}
    )


def address_toward(target: str) -> str:
    """The address of this machine from which `target` (host:port) is reached; empty when there is no way."""
    host, _, port = target.rpartition(":")
    try:
        family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except (OSError, ValueError):
        return ""
