"""Neighbours of an instance that do nothing."""

from collections.abc import Collection, Sequence

from agent.domain.labels import InstanceKey
from agent.runtime.ports import Container


class NoLogs:
    def follow(self, container_id: str) -> None:
        return

    async def drained(self, container_id: str) -> None:
        return

    def add(self, container: Container, stream: str, lines: Sequence[bytes], hook: str) -> None:
        return


class NoOneshots:
    async def started(self, instance_id: str, hook_ids: Sequence[str]) -> Collection[str]:
        return ()


class NoRemovals:
    async def of_instance(self, key: InstanceKey, name: str) -> None:
        return

    async def of_ports(self, ports: frozenset[int]) -> None:
        return
