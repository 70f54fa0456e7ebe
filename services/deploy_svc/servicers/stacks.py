"""StackService: decode, call, encode."""

from collections.abc import AsyncIterator
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from kontena.deploy.v1 import stack_deploy_pb2 as deploy_pb
from kontena.deploy.v1 import stack_pb2 as pb
from kontena.deploy.v1.stack_pb2_grpc import StackServiceServicer
from services.deploy_svc.convert.plans import plan_to_proto
from services.deploy_svc.convert.revisions import stack_revisions_to_proto
from services.deploy_svc.convert.service_deploys import progress
from services.deploy_svc.convert.stacks import attributes_from_proto, joined, stack_deploy_to_proto
from services.deploy_svc.domain.stack import ShownStack
from services.deploy_svc.usecases.idempotency import Idempotency, once
from services.deploy_svc.usecases.stack_deploys import StackDeploys
from services.deploy_svc.usecases.stack_plans import StackPlans
from services.deploy_svc.usecases.stack_revisions import StackRevisions
from services.deploy_svc.usecases.stacks import Stacks
from services.kernel import call, pages
from services.kernel.call import null_fields, present_fields, principal, reply_created, reply_etag
from services.kernel.encoded import listing, serialize
from services.kernel.methods import Context


class StackServicer(StackServiceServicer):
    def __init__(
        self,
        stacks: Stacks,
        deploys: StackDeploys,
        plans: StackPlans,
        revisions: StackRevisions,
        once: Idempotency,
    ) -> None:
        self._stacks = stacks
        self._deploys = deploys
        self._plans = plans
        self._revisions = revisions
        self._once = once

    async def ListStacks(self, request: pb.ListStacksRequest, context: Context) -> Any:
        found = await self._stacks.list(principal(), request.grid, pages.page(request))
        return listing(pb.ListStacksResponse, "stacks", map(joined, found), pb.ListStacksResponse(next=found.next))

    @once
    async def CreateStack(self, request: pb.CreateStackRequest, context: Context) -> bytes:
        given = attributes_from_proto(request.stack, present_fields(), null_fields())
        made = await self._stacks.create(principal(), request.grid, given)
        reply_created()
        return _answer(made)

    async def GetStack(self, request: pb.GetStackRequest, context: Context) -> Any:
        return _answer(await self._stacks.get(principal(), request.id))

    async def UpdateStack(self, request: pb.UpdateStackRequest, context: Context) -> Any:
        given = attributes_from_proto(request.stack, present_fields(), null_fields())
        return _answer(await self._stacks.update(principal(), request.id, given))

    async def DeleteStack(self, request: pb.DeleteStackRequest, context: Context) -> Empty:
        await self._stacks.delete(principal(), request.id)
        return Empty()

    @once
    async def DeployStack(self, request: pb.DeployStackRequest, context: Context) -> deploy_pb.StackDeploy:
        return stack_deploy_to_proto(*await self._deploys.deploy(principal(), request.id))

    async def DeployAndFollowStack(self, request: pb.DeployStackRequest, context: Context) -> AsyncIterator[HttpBody]:
        # From here on nobody may send it to another replica, which would deploy once more.
        call.current().begun = True
        begun = deploy_pb.StackDeploy.FromString(serialize(await self.DeployStack(request, context)))
        async for piece in self._progress(request.id, begun.id):
            yield piece

    async def StopStack(self, request: pb.StopStackRequest, context: Context) -> Empty:
        await self._stacks.stop(principal(), request.id)
        return Empty()

    async def RestartStack(self, request: pb.RestartStackRequest, context: Context) -> Empty:
        await self._stacks.restart(principal(), request.id)
        return Empty()

    async def GetStackDeploy(self, request: pb.GetStackDeployRequest, context: Context) -> deploy_pb.StackDeploy:
        return stack_deploy_to_proto(*await self._deploys.get(principal(), request.id, request.deploy_id))

    async def PlanStack(self, request: pb.PlanStackRequest, context: Context) -> pb.StackPlan:
        given = attributes_from_proto(request.stack, present_fields(), null_fields())
        return plan_to_proto(await self._plans.update(principal(), request.id, given))

    async def PlanNewStack(self, request: pb.PlanNewStackRequest, context: Context) -> pb.StackPlan:
        given = attributes_from_proto(request.stack, present_fields(), null_fields())
        return plan_to_proto(await self._plans.create(principal(), request.grid, given))

    async def ListStackDeploys(
        self, request: pb.ListStackDeploysRequest, context: Context
    ) -> pb.ListStackDeploysResponse:
        stack, found = await self._deploys.history(principal(), request.id, pages.page(request))
        deploys = [stack_deploy_to_proto(stack, deploy) for deploy in found]
        return pb.ListStackDeploysResponse(deploys=deploys, next=found.next)

    async def CancelStackDeploy(self, request: pb.CancelStackDeployRequest, context: Context) -> deploy_pb.StackDeploy:
        return stack_deploy_to_proto(*await self._deploys.cancel(principal(), request.id, request.deploy_id))

    async def ListStackRevisions(
        self, request: pb.ListStackRevisionsRequest, context: Context
    ) -> pb.ListStackRevisionsResponse:
        found = await self._revisions.list(principal(), request.id, pages.page(request))
        return pb.ListStackRevisionsResponse(revisions=stack_revisions_to_proto(found), next=found.next)

    @once
    async def RollbackStack(self, request: pb.RollbackStackRequest, context: Context) -> deploy_pb.StackDeploy:
        number = request.revision if request.HasField("revision") else None
        return stack_deploy_to_proto(*await self._revisions.rollback(principal(), request.id, number))

    async def FollowStackDeploy(
        self, request: pb.FollowStackDeployRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        async for piece in self._progress(request.id, request.deploy_id):
            yield piece

    def _progress(self, path: str, deploy_id: str) -> AsyncIterator[HttpBody]:
        return progress(self._deploys.follow(principal(), path, deploy_id))


def _answer(stack: ShownStack) -> bytes:
    if stack.part.etag:
        reply_etag(stack.part.etag)
    return joined(stack)
