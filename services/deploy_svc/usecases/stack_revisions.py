"""Revisions of stacks: history, and the way back to one."""

from services.deploy_svc.domain.revision import (
    DocumentChanges,
    StackRevision,
    document_changes,
    not_kept,
    wanted_revision,
)
from services.deploy_svc.domain.service_deploy import Asked
from services.deploy_svc.domain.stack import Stack
from services.deploy_svc.domain.stack_deploy import StackDeploy
from services.deploy_svc.store import revisions as store
from services.deploy_svc.store import stacks as stack_store
from services.deploy_svc.usecases import stack_checks as checks
from services.deploy_svc.usecases.parts import Parts, UseCases
from services.deploy_svc.usecases.stack_deploys import StackDeploys
from services.kernel import call
from services.kernel.errors import required
from services.kernel.pages import Listing, Page
from services.kernel.principal import Principal


class StackRevisions(UseCases):
    def __init__(self, parts: Parts, deploys: StackDeploys) -> None:
        super().__init__(parts)
        self._deploys = deploys

    async def list(self, principal: Principal, path: str, page: Page) -> Listing[tuple[StackRevision, DocumentChanges]]:
        """The kept revisions, newest first, each with what it changed."""
        grid = await self._grids.accessible(principal, path.partition("/")[0])
        name = checks.stack_name(path)
        async with self._db.read() as tx:
            stack = required(await stack_store.find(tx, grid.id, name))
            found = await store.OF_STACKS.history(tx, stack.id, page)
        shown = [
            (item, document_changes(was.document, item.document) if was else DocumentChanges()) for item, was in found
        ]
        return Listing(shown, found.next)

    async def rollback(self, principal: Principal, path: str, number: int | None) -> tuple[Stack, StackDeploy]:
        """Make the document of a kept revision the newest one, and queue its deploy. Raises ValidationFailed when it is
        not kept, or needs what is gone."""
        grid = await self._grids.changeable(principal, path.partition("/")[0])
        name = checks.stack_name(path)
        checks.refuse_null(name, "changed")
        number = wanted_revision(number)
        async with self._db.read() as tx:
            stack, _ = checks.still_there(await stack_store.find(tx, grid.id, name))
            then = await store.OF_STACKS.find(tx, stack.id, number)
            if then is None:
                raise not_kept(number, await store.OF_STACKS.numbers(tx, stack.id))
        known = await self._vault.existing(grid, checks.vault_names(then.document))
        asked = Asked("rollback", principal.email or None, str(number))
        async with self._db.transaction() as tx:
            stack, current = checks.still_there(await stack_store.find(tx, grid.id, name, lock=True))
            call.check_if_match(stack.etag)
            if checks.without_revision(then.document) != checks.without_revision(current):
                await self._quotas.change_stack(tx, grid.id, current, then.document)
                await stack_store.revise(tx, stack, then.document, self._quotas.note(principal))
                stack = required(await stack_store.find(tx, grid.id, name))
            return stack, await self._deploys.queue(tx, principal, grid, stack, known=known, asked=asked)
