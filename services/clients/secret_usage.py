"""Asks deploy_svc who uses a secret or a certificate, and brings it changes of them."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kontena.deploy.v1 import secret_usage_pb2 as pb
from kontena.deploy.v1.secret_usage_pb2_grpc import SecretUsageServiceStub
from services.kernel.client import ANSWER_SECONDS, DEADLINE_SECONDS, ServiceChannel, ask
from services.kernel.outbox import Message

SECRET_CHANGED = "secret_changed"  # noqa: S105 -- the topic, no password.
CERTIFICATE_CHANGED = "certificate_changed"

_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class UsingService:
    """A service: path-like id, and name. `host_level` is what of it reaches the node, where that was asked for."""

    id: str
    name: str
    host_level: str = ""


@dataclass(frozen=True, slots=True)
class LinkedService:
    """Where a service that publishes challenges can be reached."""

    host_network: bool
    node_ports: frozenset[int]


class SecretUsage:
    """The API of deploy_svc that vault_svc needs. Every call may be repeated, and raises Unavailable."""

    def __init__(self, channel: ServiceChannel) -> None:
        self._stub = channel.stub(SecretUsageServiceStub)

    async def of_secrets(self, grid_id: str, names: Collection[str]) -> dict[str, tuple[UsingService, ...]]:
        """Services by the secret they use, with what of them is host-level; an unused one is left out."""
        request = pb.ListSecretUsersRequest(grid_id=grid_id, names=sorted(names))
        return _users((await ask("deploy_svc", self._stub.ListSecretUsers, request)).users)

    async def of_certificates(self, grid_id: str, subjects: Collection[str]) -> dict[str, tuple[UsingService, ...]]:
        """Services by the subject of the certificate they use; an unused one is left out."""
        if not subjects:
            return {}
        request = pb.ListCertificateUsersRequest(grid_id=grid_id, subjects=sorted(subjects))
        return _users((await ask("deploy_svc", self._stub.ListCertificateUsers, request)).users)

    async def linked_service(self, grid_id: str, stack: str, name: str) -> LinkedService | None:
        """The service, or None when it does not exist."""
        request = pb.GetLinkedServiceRequest(grid_id=grid_id, stack=stack, name=name)
        found = await ask("deploy_svc", self._stub.GetLinkedService, request)
        return LinkedService(found.host_network, frozenset(found.node_ports)) if found.found else None

    async def deploy_linked(self, grid_id: str, stack: str, name: str, event_id: str) -> str | None:
        """Queue a forced deploy once per event; its id, or None when there is no such service."""
        request = pb.DeployLinkedServiceRequest(grid_id=grid_id, stack=stack, name=name, event_id=event_id)
        return (await ask("deploy_svc", self._stub.DeployLinkedService, request, DEADLINE_SECONDS)).deploy_id or None

    async def deploy_states(
        self, grid_id: str, deploy_ids: Collection[str], within: float = ANSWER_SECONDS
    ) -> Mapping[str, str]:
        """`created`, `ongoing`, `success` or `error` by deploy id; unknown deploys are left out."""
        if not deploy_ids:
            return {}
        request = pb.ListLinkedDeploysRequest(grid_id=grid_id, deploy_ids=sorted(deploy_ids))
        return dict((await ask("deploy_svc", self._stub.ListLinkedDeploys, request, within)).states)

    async def deliver_secrets(self, messages: list[Message]) -> None:
        """The outbox handler of SECRET_CHANGED; payloads hold `grid_id` and `name`."""

        async def tell(message: Message) -> Any:
            payload = message.payload
            request = pb.SecretChangedRequest(grid_id=payload["grid_id"], name=payload["name"], event_id=message.id)
            await self._stub.SecretChanged(request)

        await _each(tell, messages)

    async def deliver_certificates(self, messages: list[Message]) -> None:
        """The outbox handler of CERTIFICATE_CHANGED; payloads hold `grid_id` and `subject`."""

        async def tell(message: Message) -> Any:
            payload = message.payload
            await self._stub.CertificateChanged(
                pb.CertificateChangedRequest(
                    grid_id=payload["grid_id"], subject=payload["subject"], event_id=message.id
                )
            )

        await _each(tell, messages)


async def _each(tell: Callable[[Message], Awaitable[Any]], messages: Iterable[Message]) -> None:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(message: Message) -> None:
        async with slots:
            await tell(message)

    await asyncio.gather(*map(one, messages))


def _users(found: Mapping[str, pb.UsingServices]) -> dict[str, tuple[UsingService, ...]]:
    return {
        key: tuple(UsingService(one.id, one.name, one.host_level) for one in users.services)
        for key, users in found.items()
    }
