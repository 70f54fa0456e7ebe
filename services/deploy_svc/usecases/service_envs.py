"""Single variables of a service (docs/spec/deploy_rest.md section 4.12)."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from services.deploy_svc.domain.service import Service
from services.deploy_svc.domain.service_elements import added_variable
from services.deploy_svc.store import services as store
from services.deploy_svc.store import tables
from services.deploy_svc.usecases.parts import UseCases
from services.deploy_svc.usecases.service_paths import resource
from services.kernel import audit, call
from services.kernel.errors import required
from services.kernel.principal import Principal
from services.kernel.validation import Checker

Env = tuple[str, ...]


class ServiceEnvs(UseCases):
    """The use cases. Instances follow at the next deploy."""

    async def add(self, principal: Principal, path: str, variable: str | None) -> None:
        """Append `KEY=value` as it is. Raises ValidationFailed without one, or for one that no process can have."""
        grid, found = await self._access.changeable(principal, path)
        check = Checker()
        if variable is None:
            check.fail("env", "Env can't be nil")
        else:
            added = added_variable(check, "env", variable) or ""
        check.done()
        allowed = partial(self._access.hosts.check_service, principal, grid)
        await self._write(principal, found.id, "add_env", lambda env: (*env, added), allowed)

    async def remove(self, principal: Principal, path: str, key: str) -> None:
        """Remove every variable of the name; none is fine too."""
        grid, found = await self._access.changeable(principal, path)
        allowed = partial(self._access.hosts.check_service, principal, grid)

        def without(env: Env) -> Env:
            return tuple(item for item in env if item.partition("=")[0] != key)

        await self._write(principal, found.id, "remove_env", without, allowed)

    async def _write(
        self,
        principal: Principal,
        service_id: str,
        event: str,
        change: Callable[[Env], Env],
        allowed: Callable[[Service], None],
    ) -> None:
        async with self._db.prepared() as tx:
            service = required(await store.find_by_id(tx, service_id, lock=True))
            allowed(service)
            call.check_if_match(service.etag)
            env = change(service.spec.env)
            if env != service.spec.env:
                spec = replace(service.spec, env=env)
                await self._quotas.change_service(tx, service.grid_id, service.spec, spec)
                await store.update(tx, service.id, spec, bump=True, note=self._quotas.note(principal))
            await audit.record(tx, tables.outbox, event, resource(service))
