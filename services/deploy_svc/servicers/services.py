"""ServiceService: decode, call, encode."""

from collections.abc import AsyncIterator
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from kontena.deploy.v1 import plan_pb2 as plan_pb
from kontena.deploy.v1 import service_deploy_pb2 as deploy_pb
from kontena.deploy.v1 import service_pb2 as pb
from kontena.deploy.v1.service_pb2_grpc import ServiceServiceServicer
from services.deploy_svc.convert.plans import grid_rebalance_to_proto, rebalance_to_proto, service_plan_to_proto
from services.deploy_svc.convert.revisions import service_revisions_to_proto
from services.deploy_svc.convert.service_deploys import deploy_to_proto, progress
from services.deploy_svc.convert.service_spec import attributes_from_proto
from services.deploy_svc.convert.services import joined, service_to_proto
from services.deploy_svc.domain.service_view import ServiceView
from services.deploy_svc.usecases.idempotency import Idempotency, once
from services.deploy_svc.usecases.rebalances import Rebalances
from services.deploy_svc.usecases.service_deploys import ServiceDeploys
from services.deploy_svc.usecases.service_envs import ServiceEnvs
from services.deploy_svc.usecases.service_plans import ServicePlans
from services.deploy_svc.usecases.service_revisions import ServiceRevisions
from services.deploy_svc.usecases.services import Services
from services.kernel import call, pages
from services.kernel.call import null_fields, present_fields, principal, reply_created, reply_etag
from services.kernel.encoded import listing, serialize
from services.kernel.masks import narrowed
from services.kernel.methods import Context


class ServiceServicer(ServiceServiceServicer):
    def __init__(
        self,
        services: Services,
        deploys: ServiceDeploys,
        envs: ServiceEnvs,
        plans: ServicePlans,
        revisions: ServiceRevisions,
        *,
        rebalances: Rebalances,
        once: Idempotency,
    ) -> None:
        self._services = services
        self._deploys = deploys
        self._envs = envs
        self._plans = plans
        self._revisions = revisions
        self._rebalances = rebalances
        self._once = once

    async def ListServices(self, request: pb.ListServicesRequest, context: Context) -> Any:
        found = await self._services.list(principal(), request.grid, request.stack, pages.page(request))
        return listing(
            pb.ListServicesResponse, "services", map(joined, found), pb.ListServicesResponse(next=found.next)
        )

    @once
    async def CreateService(self, request: pb.CreateServiceRequest, context: Context) -> pb.Service:
        given = attributes_from_proto(request.service, present_fields(), null_fields())
        view = await self._services.create(principal(), request.grid, given)
        reply_created()
        return _answer(view)

    async def GetService(self, request: pb.GetServiceRequest, context: Context) -> Any:
        found = await self._services.get(principal(), request.id)
        reply_etag(found.part.etag)
        return joined(found)

    async def UpdateService(self, request: pb.UpdateServiceRequest, context: Context) -> pb.Service:
        given = attributes_from_proto(
            narrowed(request.service, request.update_mask), present_fields(request.update_mask), null_fields()
        )
        return _answer(await self._services.update(principal(), request.id, given))

    async def DeleteService(self, request: pb.DeleteServiceRequest, context: Context) -> Empty:
        await self._services.delete(principal(), request.id)
        return Empty()

    @once
    async def DeployService(self, request: pb.DeployServiceRequest, context: Context) -> deploy_pb.ServiceDeploy:
        return deploy_to_proto(*await self._deploys.deploy(principal(), request.id, force=request.force))

    async def DeployAndFollowService(
        self, request: pb.DeployServiceRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        # From here on nobody may send it to another replica, which would deploy once more.
        call.current().begun = True
        begun = deploy_pb.ServiceDeploy.FromString(serialize(await self.DeployService(request, context)))
        async for piece in self._progress(request.id, begun.id):
            yield piece

    @once
    async def ScaleService(self, request: pb.ScaleServiceRequest, context: Context) -> deploy_pb.ServiceDeploy:
        count = request.instances if request.HasField("instances") else None
        return deploy_to_proto(*await self._deploys.scale(principal(), request.id, count))

    async def StartService(self, request: pb.StartServiceRequest, context: Context) -> Empty:
        await self._deploys.start(principal(), request.id)
        return Empty()

    async def StopService(self, request: pb.StopServiceRequest, context: Context) -> Empty:
        await self._deploys.stop(principal(), request.id)
        return Empty()

    async def RestartService(self, request: pb.RestartServiceRequest, context: Context) -> Empty:
        await self._deploys.restart(principal(), request.id)
        return Empty()

    @once
    async def AddServiceEnv(self, request: pb.AddServiceEnvRequest, context: Context) -> Empty:
        await self._envs.add(principal(), request.id, request.env if request.HasField("env") else None)
        return Empty()

    async def RemoveServiceEnv(self, request: pb.RemoveServiceEnvRequest, context: Context) -> Empty:
        await self._envs.remove(principal(), request.id, request.key)
        return Empty()

    async def GetServiceDeploy(self, request: pb.GetServiceDeployRequest, context: Context) -> deploy_pb.ServiceDeploy:
        return deploy_to_proto(*await self._deploys.get(principal(), request.id, request.deploy_id))

    async def ListServiceDeploys(
        self, request: pb.ListServiceDeploysRequest, context: Context
    ) -> pb.ListServiceDeploysResponse:
        service, found = await self._deploys.history(principal(), request.id, pages.page(request))
        deploys = [deploy_to_proto(service, deploy) for deploy in found]
        return pb.ListServiceDeploysResponse(deploys=deploys, next=found.next)

    async def CancelServiceDeploy(
        self, request: pb.CancelServiceDeployRequest, context: Context
    ) -> deploy_pb.ServiceDeploy:
        return deploy_to_proto(*await self._deploys.cancel(principal(), request.id, request.deploy_id))

    async def ListServiceRevisions(
        self, request: pb.ListServiceRevisionsRequest, context: Context
    ) -> pb.ListServiceRevisionsResponse:
        found = await self._revisions.list(principal(), request.id, pages.page(request))
        return pb.ListServiceRevisionsResponse(revisions=service_revisions_to_proto(found), next=found.next)

    @once
    async def RollbackService(self, request: pb.RollbackServiceRequest, context: Context) -> deploy_pb.ServiceDeploy:
        number = request.revision if request.HasField("revision") else None
        return deploy_to_proto(*await self._revisions.rollback(principal(), request.id, number))

    async def PlanService(self, request: pb.PlanServiceRequest, context: Context) -> plan_pb.ServicePlan:
        given = attributes_from_proto(
            narrowed(request.service, request.update_mask), present_fields(request.update_mask), null_fields()
        )
        return service_plan_to_proto(await self._plans.update(principal(), request.id, given))

    async def PlanServiceRebalance(
        self, request: pb.PlanServiceRebalanceRequest, context: Context
    ) -> plan_pb.ServiceRebalance:
        return rebalance_to_proto(await self._rebalances.plan(principal(), request.id))

    @once
    async def RebalanceService(self, request: pb.RebalanceServiceRequest, context: Context) -> plan_pb.ServiceRebalance:
        return rebalance_to_proto(await self._rebalances.service(principal(), request.id))

    async def PlanGridRebalance(self, request: pb.PlanGridRebalanceRequest, context: Context) -> plan_pb.GridRebalance:
        return grid_rebalance_to_proto(await self._rebalances.plan_grid(principal(), request.grid))

    @once
    async def RebalanceGrid(self, request: pb.RebalanceGridRequest, context: Context) -> plan_pb.GridRebalance:
        return grid_rebalance_to_proto(await self._rebalances.grid(principal(), request.grid))

    async def FollowServiceDeploy(
        self, request: pb.FollowServiceDeployRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        async for piece in self._progress(request.id, request.deploy_id):
            yield piece

    def _progress(self, path: str, deploy_id: str) -> AsyncIterator[HttpBody]:
        return progress(self._deploys.follow(principal(), path, deploy_id))


def _answer(view: ServiceView) -> pb.Service:
    reply_etag(view.service.etag)
    return service_to_proto(view)
