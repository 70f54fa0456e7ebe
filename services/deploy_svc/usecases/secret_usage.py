"""What vault_svc asks: who uses a secret or a certificate, and redeploys of them (docs/spec/vault.md section 2.4)."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection

from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_deploy import Asked
from services.deploy_svc.domain.watch import VaultUser
from services.deploy_svc.store import secret_usage as store
from services.deploy_svc.store import services as service_store
from services.deploy_svc.store.secret_usage import Usage
from services.deploy_svc.usecases.host_access import HostAccess
from services.deploy_svc.usecases.redeploys import deploy_id_of, redeploy_users
from services.kernel.db import Database
from services.kernel.informer import Change
from services.kernel.watch import Watch


class SecretUsage:
    def __init__(self, db: Database, watch: Watch, hosts: HostAccess) -> None:
        self._db = db
        self._watch = watch
        self._hosts = hosts

    def follow(self) -> AsyncIterator[Change[VaultUser]]:
        """All services that use a secret, then each change."""
        return self._watch.follow([store.VAULT_USERS], store.vault_users)

    async def users(self, grid_id: str, usage: Usage, names: Collection[str]) -> dict[str, list[tuple[str, str]]]:
        """(`grid/stack/service`, service) by used name; a name without users is left out."""
        if not names:
            return {}
        found: dict[str, list[tuple[str, str]]] = defaultdict(list)
        async with self._db.read() as tx:
            for used, grid, stack, service in await store.users(tx, grid_id, usage, names):
                found[used].append((f"{grid}/{stack}/{service}", service))
        return dict(found)

    async def reach(self, grid_id: str, usage: Usage, names: Collection[str]) -> dict[str, str]:
        """What reaches the node of the services that use a name, by `grid/stack/service`, for people."""
        if not names:
            return {}
        async with self._db.read() as tx:
            services = await store.using(tx, grid_id, usage, names)
        return {service.path: reach for service in services if (reach := self._hosts.reach(service))}

    async def changed(self, grid_id: str, usage: Usage, name: str, event_id: str) -> None:
        """Raise the revision of each service that uses the name, and queue one deploy per running one; a deploy that
        has not started yet is enough. Told again, it does nothing to services whose deploy it queued."""
        async with self._db.transaction() as tx:
            await redeploy_users(tx, grid_id, usage, name, event_id)

    async def linked_service(self, grid_id: str, stack: str, name: str) -> Service | None:
        """The service that is to publish challenges, or None."""
        async with self._db.read() as tx:
            return await service_store.find(tx, grid_id, stack, name)

    async def deploy_linked(self, grid_id: str, stack: str, name: str, event_id: str) -> str | None:
        """Queue a forced deploy of a service, once per event; its id, or None without such a service."""
        async with self._db.transaction() as tx:
            service = await store.lock_service(tx, grid_id, stack, name)
            if service is None:
                return None
            deploy_id = deploy_id_of(event_id, service.id)
            if not await store.with_deploy(tx, [deploy_id]):
                await service_store.request_deploy(tx, service.id, bump=True)
                await store.queue(tx, [(deploy_id, service.id)], Asked("challenge"))
        return deploy_id

    async def deploy_states(self, grid_id: str, deploy_ids: Collection[str]) -> dict[str, str]:
        """States by deploy id; unknown deploys are left out."""
        if not deploy_ids:
            return {}
        async with self._db.read() as tx:
            return await store.deploy_states(tx, grid_id, deploy_ids)
